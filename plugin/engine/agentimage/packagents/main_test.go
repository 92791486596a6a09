package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
)

const name = "nestprobe-agent-linux-amd64"

// binary writes an agent with a content into a folder, and returns its path.
func binary(t *testing.T, folder, name, content string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	assert.NilError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	assert.NilError(t, err)
	return string(content)
}

func TestPack(t *testing.T) {
	t.Parallel()
	in, out := t.TempDir(), t.TempDir()
	for _, stale := range []string{name, "nestprobe-agent-linux-s390x.zst", "README.md"} {
		binary(t, out, stale, "stale")
	}
	one := binary(t, in, name, "one")
	assert.NilError(t, packAll(out, []string{one}))
	listed, err := filepath.Glob(filepath.Join(out, "*"))
	assert.NilError(t, err)
	assert.DeepEqual(t, listed, []string{filepath.Join(out, "README.md"), filepath.Join(out, name+".digest"), filepath.Join(out, name+".zst")})
	digest, err := agentimage.Digest([]byte("one"), "linux", "amd64")
	assert.NilError(t, err)
	assert.Equal(t, read(t, filepath.Join(out, name+".digest")), digest)

	other := t.TempDir()
	assert.NilError(t, packAll(other, []string{one}))
	assert.Equal(t, read(t, filepath.Join(other, name+".zst")), read(t, filepath.Join(out, name+".zst")), "the same binary gives the same file")
}

func TestPackOnlyWhatHasChanged(t *testing.T) {
	t.Parallel()
	in, out := t.TempDir(), t.TempDir()
	packed := filepath.Join(out, name+".zst")
	assert.NilError(t, packAll(out, []string{binary(t, in, name, "one")}))
	before, long := read(t, packed), time.Unix(1, 0)
	assert.NilError(t, os.Chtimes(packed, long, long))
	assert.NilError(t, packAll(out, []string{binary(t, in, name, "one")}))
	info, err := os.Stat(packed)
	assert.NilError(t, err)
	assert.Assert(t, info.ModTime().Equal(long), "it was written again")
	assert.NilError(t, packAll(out, []string{binary(t, in, name, "two")}))
	assert.Assert(t, read(t, packed) != before)
}

func TestNamesWithoutAPlatform(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"agent", "some-agent-linux-amd64"} {
		err := packAll(t.TempDir(), []string{binary(t, t.TempDir(), name, "one")})
		assert.Assert(t, is.ErrorContains(err, name))
	}
	assert.ErrorContains(t, packAll(t.TempDir(), nil), "name the binaries")
}
