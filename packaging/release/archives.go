package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// programFile is the name of a program that `make cross` has built.
var programFile = regexp.MustCompile(`^docker-nestprobe-(darwin|linux|windows)-(amd64|arm64)(\.exe)?$`)

// member is a file of an archive.
type member struct {
	name, source string
	mode         fs.FileMode
}

// writeArchives writes an archive for each program among the files, with the other files
// beside it: a zip file for Windows and a compressed tar archive for the others.
func (r release) writeArchives(dir string, files []string) error {
	var common []member
	var programs []string
	for _, file := range files {
		name := filepath.Base(file)
		if programFile.MatchString(name) {
			programs = append(programs, file)
			continue
		}
		common = append(common, member{name, file, 0o644})
	}
	if len(programs) == 0 {
		return errors.New("none of the files is a program that `make cross` builds")
	}
	for _, program := range programs {
		if err := r.writeArchive(dir, program, common); err != nil {
			return err
		}
	}
	return nil
}

func (r release) writeArchive(dir, program string, common []member) error {
	parts := programFile.FindStringSubmatch(filepath.Base(program))
	system, extension := parts[1], parts[3]
	members := append([]member{{"docker-nestprobe" + extension, program, 0o755}}, common...)
	pack, suffix := packTar, ".tar.gz"
	if system == "windows" {
		pack, suffix = packZip, ".zip"
	}
	path := filepath.Join(dir, fmt.Sprintf("docker-nestprobe-%s-%s-%s%s", r.version, system, parts[2], suffix))
	file, err := os.Create(path) //nolint:gosec // named by the caller
	if err != nil {
		return err
	}
	if err = errors.Join(pack(file, members, r.time), file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func packTar(w io.Writer, members []member, when time.Time) error {
	compressed := gzip.NewWriter(w)
	archive := tar.NewWriter(compressed)
	for _, m := range members {
		content, err := os.ReadFile(m.source)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: m.name, Mode: int64(m.mode), Size: int64(len(content)), ModTime: when, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(content); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), compressed.Close())
}

func packZip(w io.Writer, members []member, when time.Time) error {
	archive := zip.NewWriter(w)
	for _, m := range members {
		if strings.HasSuffix(m.name, ".1.gz") {
			continue // Windows has no man pages
		}
		content, err := os.ReadFile(m.source)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: m.name, Method: zip.Deflate, Modified: when}
		header.SetMode(m.mode)
		out, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := out.Write(content); err != nil {
			return err
		}
	}
	return archive.Close()
}
