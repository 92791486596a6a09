package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
	"gotest.tools/v3/fs"
)

const commitTime = "1790000000"

func testRelease(t *testing.T) release {
	t.Helper()
	r, err := newRelease("v1.2.3", commitTime)
	assert.NilError(t, err)
	return r
}

func TestReleaseNeedsVersionAndTime(t *testing.T) {
	t.Parallel()
	_, err := newRelease("", commitTime)
	assert.ErrorContains(t, err, "VERSION is not set")
	_, err = newRelease("v1.2.3", "")
	assert.ErrorContains(t, err, "SOURCE_DATE_EPOCH")
	assert.Equal(t, testRelease(t).version, "1.2.3")
}

// Users see a page for each command, and none for those that only docker calls.
func TestManPages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	assert.NilError(t, testRelease(t).writeManPages(dir))
	pages, err := filepath.Glob(filepath.Join(dir, "*"))
	assert.NilError(t, err)
	var names []string
	for _, page := range pages {
		names = append(names, filepath.Base(page))
	}
	assert.DeepEqual(t, names, []string{
		"docker-nestprobe-diagnose.1.gz", "docker-nestprobe-in-container.1.gz", "docker-nestprobe-run.1.gz",
		"docker-nestprobe-version.1.gz", "docker-nestprobe.1.gz",
	})
	page, err := os.Open(filepath.Join(dir, "docker-nestprobe-diagnose.1.gz"))
	assert.NilError(t, err)
	defer page.Close() //nolint:errcheck // read only
	text, err := gzip.NewReader(page)
	assert.NilError(t, err)
	content, err := io.ReadAll(text)
	assert.NilError(t, err)
	assert.Check(t, is.Contains(string(content), `.TH "DOCKER-NESTPROBE-DIAGNOSE" "1" "Sep 2026" "docker-nestprobe 1.2.3"`))
	assert.Check(t, is.Contains(string(content), `\fB--explain\fP`))
}

// Each program's archive has the program under its own name and the other files, all
// with the time of the commit and the same bytes each time.
func TestArchives(t *testing.T) {
	t.Parallel()
	source := fs.NewDir(t, "release",
		fs.WithFile("docker-nestprobe-linux-amd64", "program"), fs.WithFile("docker-nestprobe-windows-arm64.exe", "PE"),
		fs.WithFile("LICENSE", "license"), fs.WithFile("docker-nestprobe.1.gz", "page"))
	files := []string{source.Join("docker-nestprobe-linux-amd64"), source.Join("docker-nestprobe-windows-arm64.exe"), source.Join("LICENSE"), source.Join("docker-nestprobe.1.gz")}
	first, second := t.TempDir(), t.TempDir()
	assert.NilError(t, testRelease(t).writeArchives(first, files))
	assert.NilError(t, testRelease(t).writeArchives(second, files))
	for _, name := range []string{"docker-nestprobe-1.2.3-linux-amd64.tar.gz", "docker-nestprobe-1.2.3-windows-arm64.zip"} {
		a, err := os.ReadFile(filepath.Join(first, name))
		assert.NilError(t, err)
		b, err := os.ReadFile(filepath.Join(second, name))
		assert.NilError(t, err)
		assert.Check(t, bytes.Equal(a, b), name)
	}
	assert.DeepEqual(t, inTar(t, filepath.Join(first, "docker-nestprobe-1.2.3-linux-amd64.tar.gz")),
		[]string{"-rwxr-xr-x docker-nestprobe program", "-rw-r--r-- LICENSE license", "-rw-r--r-- docker-nestprobe.1.gz page"})
	assert.DeepEqual(t, inZip(t, filepath.Join(first, "docker-nestprobe-1.2.3-windows-arm64.zip")),
		[]string{"docker-nestprobe.exe", "LICENSE"})
	assert.ErrorContains(t, testRelease(t).writeArchives(first, files[2:]), "none of the files is a program")
}

func inTar(t *testing.T, path string) []string {
	t.Helper()
	file, err := os.Open(path)
	assert.NilError(t, err)
	defer file.Close() //nolint:errcheck // read only
	unpacked, err := gzip.NewReader(file)
	assert.NilError(t, err)
	var found []string
	for archive := tar.NewReader(unpacked); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		assert.NilError(t, err)
		assert.Check(t, header.ModTime.Equal(time.Unix(1790000000, 0)))
		content, err := io.ReadAll(archive)
		assert.NilError(t, err)
		found = append(found, strings.Join([]string{header.FileInfo().Mode().String(), header.Name, string(content)}, " "))
	}
}

func inZip(t *testing.T, path string) []string {
	t.Helper()
	archive, err := zip.OpenReader(path)
	assert.NilError(t, err)
	defer archive.Close() //nolint:errcheck // read only
	var found []string
	for _, file := range archive.File {
		assert.Check(t, file.Modified.Equal(time.Unix(1790000000, 0)))
		found = append(found, file.Name)
	}
	return found
}

// The notices cover every module of the programs, and texts that several share are there
// once.
func TestNotices(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notices")
	assert.NilError(t, testRelease(t).writeNotices(file))
	content, err := os.ReadFile(file)
	assert.NilError(t, err)
	text := string(content)
	for _, module := range []string{"github.com/docker/cli v", "github.com/spf13/cobra v", "github.com/Microsoft/go-winio v", "github.com/vishvananda/netlink v"} {
		assert.Check(t, is.Contains(text, "\n"+module))
	}
	assert.Check(t, is.Contains(text, "\nthe Go programming language\n"))
	assert.Check(t, is.Contains(text, "Docker, Inc.")) // of its NOTICE
	without := goPackage{ImportPath: "example.com/a/b", Dir: t.TempDir()}
	without.Module = &struct {
		Path, Version, Dir string
		Main               bool
	}{Path: "example.com/a", Dir: without.Dir}
	assert.Error(t, without.addNotices(map[string]notice{}), "example.com/a/b is in module example.com/a, which has no license file")
}

// The templates in the repository need only the files that a release has.
func TestFillTemplates(t *testing.T) {
	t.Parallel()
	var sums strings.Builder
	for _, platform := range []string{"darwin-amd64.tar.gz", "darwin-arm64.tar.gz", "linux-amd64.tar.gz", "linux-arm64.tar.gz", "windows-amd64.zip", "windows-arm64.zip"} {
		sums.WriteString("sum-of-" + platform + "  docker-nestprobe-1.2.3-" + platform + "\n")
	}
	dir := fs.NewDir(t, "release", fs.WithFile("checksums.txt", sums.String()), fs.WithFile("empty.txt", ""))
	templates, err := filepath.Glob("../*.tmpl")
	assert.NilError(t, err)
	assert.NilError(t, testRelease(t).fillTemplates(dir.Join("checksums.txt"), dir.Path(), templates))
	formula, err := os.ReadFile(dir.Join("docker-nestprobe.rb"))
	assert.NilError(t, err)
	assert.Check(t, is.Contains(string(formula), "download/v1.2.3/docker-nestprobe-1.2.3-darwin-arm64.tar.gz\"\n      sha256 \"sum-of-darwin-arm64.tar.gz\""))
	manifest, err := os.ReadFile(dir.Join("docker-nestprobe.json"))
	assert.NilError(t, err)
	assert.Check(t, is.Contains(string(manifest), `"hash": "sum-of-windows-amd64.zip"`))
	err = testRelease(t).fillTemplates(dir.Join("empty.txt"), dir.Path(), templates)
	assert.ErrorContains(t, err, "has no checksum of docker-nestprobe-1.2.3-")
}
