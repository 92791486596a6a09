package main

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

// What cannot run FROM scratch is refused when the image is made. The script
// plugin-image.txtar makes one that runs.
func TestOnlyStaticProgramsForLinux(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	script := filepath.Join(folder, "script")
	assert.NilError(t, os.WriteFile(script, []byte("#!/bin/sh\n"), 0o600))
	out := filepath.Join(folder, "image")
	for _, binaries := range [][]string{nil, {script}, {filepath.Join(folder, "missing")}} {
		err := write(out, "nestprobe:latest", "dev", binaries)
		assert.Assert(t, err != nil, "%v", binaries)
		made, err := filepath.Glob(out + "*")
		assert.NilError(t, err)
		assert.Equal(t, len(made), 0)
	}
}

func TestPlatformOfTheBinary(t *testing.T) {
	t.Parallel()
	static := map[string]string{"GOOS": "linux", "GOARCH": "arm64", "CGO_ENABLED": "0"}
	arch, err := platformOf(static)
	assert.NilError(t, err)
	assert.Equal(t, arch, "arm64")
	for _, settings := range []map[string]string{
		{"GOOS": "darwin", "GOARCH": "arm64", "CGO_ENABLED": "0"},
		{"GOOS": "linux", "GOARCH": "arm64", "CGO_ENABLED": "1"},
		{},
	} {
		_, err := platformOf(settings)
		assert.Assert(t, err != nil, "%v", settings)
	}
}
