package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// systems are the values of GOOS that a release is built for: each has modules of its own.
func systems() []string { return []string{"linux", "darwin", "windows"} }

// programs are what users get. The agent is a part of the plugin.
func programs() []string {
	return []string{module + "/cmd/docker-nestprobe", module + "/cmd/nestprobe-agent"}
}

const module = "github.com/nestprobe/docker-nestprobe"

// noticeFile matches the files whose text must go with a copy of a program.
var noticeFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)(\.(txt|md))?$`)

// notice is a file with a license, and whose it is.
type notice struct {
	owner string // such as "github.com/docker/cli v28.5.2+incompatible"
	path  string
}

// writeNotices writes the licenses of all modules whose packages are in a program, and of
// Go itself, whose library and runtime are in it too.
func (release) writeNotices(file string) error {
	found := map[string]notice{}
	for _, system := range systems() {
		packages, err := packagesOn(system)
		if err != nil {
			return err
		}
		for _, p := range packages {
			if err := p.addNotices(found); err != nil {
				return err
			}
		}
	}
	license := filepath.Join(runtime.GOROOT(), "LICENSE") //nolint:staticcheck // `go run` sets it
	found[license] = notice{"the Go programming language", license}
	return writeAll(file, found)
}

// goPackage is a package as `go list` describes it.
type goPackage struct {
	Dir, ImportPath string
	Standard        bool
	Module          *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// packagesOn lists the packages in the programs for an operating system.
func packagesOn(system string) ([]goPackage, error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=Dir,ImportPath,Standard,Module"}, programs()...)...) //nolint:gosec,noctx // packages of this module; ends with its caller
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list for %s: %w", system, err)
	}
	var all []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
}

// addNotices adds the license files of a package: those of its folder and of the folders
// above it, up to its module's. A module without one is an error.
func (p goPackage) addNotices(found map[string]notice) error {
	if p.Standard || p.Module == nil || p.Module.Main {
		return nil
	}
	count := 0
	for dir := p.Dir; strings.HasPrefix(dir, p.Module.Dir); dir = filepath.Dir(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if entry.IsDir() || !noticeFile.MatchString(entry.Name()) {
				continue
			}
			count++
			path := filepath.Join(dir, entry.Name())
			found[path] = notice{p.Module.Path + strings.TrimPrefix(dir, p.Module.Dir) + " " + p.Module.Version, path}
		}
	}
	if count == 0 {
		return fmt.Errorf("%s is in module %s, which has no license file", p.ImportPath, p.Module.Path)
	}
	return nil
}

// writeAll writes the texts, ordered by their owners. Owners with the same text share it.
func writeAll(file string, found map[string]notice) error {
	owners := map[string][]string{} // by text
	for _, n := range found {
		text, err := os.ReadFile(n.path)
		if err != nil {
			return err
		}
		owners[string(text)] = append(owners[string(text)], n.owner)
	}
	texts := slices.Collect(maps.Keys(owners))
	for _, text := range texts {
		slices.Sort(owners[text])
	}
	slices.SortFunc(texts, func(a, b string) int { return slices.Compare(owners[a], owners[b]) })
	var out strings.Builder
	out.WriteString("docker-nestprobe contains the software below, under these licenses.\n")
	for _, text := range texts {
		fmt.Fprintf(&out, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 78), strings.Join(owners[text], "\n"), strings.TrimRight(text, "\n"))
	}
	return os.WriteFile(file, []byte(out.String()), 0o644) //nolint:gosec // for everyone to read
}
