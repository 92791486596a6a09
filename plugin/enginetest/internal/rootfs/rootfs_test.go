package rootfs

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
)

// A dynamic program runs in a file system that holds only what it needs.
func TestProgramRunsInRootFS(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short leaves out what needs root")
	}
	if err := keep.CheckRoot(); err != nil && !keep.AllRequired() {
		t.Skip(err)
	}
	program, err := exec.LookPath("ls")
	assert.NilError(t, err)
	root := New("empty")
	root.AddMachineLinks()
	root.AddText("etc/greeting", "hello")
	assert.NilError(t, root.AddProgram(program))
	dir := t.TempDir()
	var archive bytes.Buffer
	assert.NilError(t, root.WriteTar(&archive))
	unpack(t, &archive, dir)
	out, err := exec.CommandContext(t.Context(), "chroot", dir, program, "-d", "/etc/greeting", "/empty").CombinedOutput()
	assert.NilError(t, err, "%s", out)
	assert.Equal(t, string(out), "/empty\n/etc/greeting\n")
}

func unpack(t *testing.T, archive io.Reader, dir string) {
	t.Helper()
	reader := tar.NewReader(archive)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		assert.NilError(t, err)
		path := filepath.Join(dir, header.Name)
		switch header.Typeflag {
		case tar.TypeDir:
			assert.NilError(t, os.Mkdir(path, 0o755))
		case tar.TypeSymlink:
			assert.NilError(t, os.Symlink(header.Linkname, path))
		default:
			data, err := io.ReadAll(reader)
			assert.NilError(t, err)
			assert.NilError(t, os.WriteFile(path, data, 0o755))
		}
	}
}

// The stamp changes with what is in the file system, and with nothing else.
func TestStamp(t *testing.T) {
	t.Parallel()
	stamp := func(source string, texts ...string) string {
		root := New()
		root.AddFile("program", source)
		for _, text := range texts {
			root.AddText("text", text)
		}
		got, err := root.Stamp()
		assert.NilError(t, err)
		return got
	}
	source := filepath.Join(t.TempDir(), "program")
	assert.NilError(t, os.WriteFile(source, []byte("1"), 0o755))
	before := stamp(source, "a")
	assert.Equal(t, stamp(source, "a"), before)
	assert.Assert(t, stamp(source, "b") != before)
	assert.NilError(t, os.WriteFile(source, []byte("22"), 0o755))
	assert.Assert(t, stamp(source, "a") != before)
}

func TestMissingLibrary(t *testing.T) {
	t.Parallel()
	_, err := locate("libnestprobe.so.1", []string{"/nonexistent"})
	assert.ErrorContains(t, err, "there is no libnestprobe.so.1 in /nonexistent")
	err = New().AddProgram("/nonexistent/program")
	assert.Assert(t, cmp.ErrorIs(err, os.ErrNotExist))
}

func TestScriptNeedsNothing(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "script")
	assert.NilError(t, os.WriteFile(script, []byte(strings.Repeat("#!/bin/sh\n", 10)), 0o755))
	needed, err := needs(script)
	assert.NilError(t, err)
	assert.Equal(t, len(needed), 0)
}
