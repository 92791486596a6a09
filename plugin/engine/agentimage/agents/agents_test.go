package agents

import (
	"bytes"
	"debug/elf"
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/klauspost/compress/zstd"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// An agent's image has no other file, so the agent must be static and for the engine's
// CPU. A fresh clone has no agents yet; `make build` builds them.
func TestAgentsAreStatic(t *testing.T) {
	t.Parallel()
	machines := map[string]elf.Machine{
		"nestprobe-agent-linux-amd64": elf.EM_X86_64,
		"nestprobe-agent-linux-arm64": elf.EM_AARCH64,
	}
	built, err := fs.Glob(packed, "nestprobe-agent-*"+Extension)
	assert.NilError(t, err)
	if len(built) == 0 && testing.Short() {
		t.Skip("there are no agents yet: make build")
	}
	assert.Assert(t, is.Len(built, len(machines)), "make build builds them")
	for name, machine := range machines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content, err := Files.ReadFile(name)
			assert.NilError(t, err)
			checkStatic(t, content, machine)
		})
	}
}

// A damaged file is an error of its own, not one that is missing.
func TestUnpacker(t *testing.T) {
	t.Parallel()
	encoder, err := zstd.NewWriter(nil)
	assert.NilError(t, err)
	u := Unpacker{fstest.MapFS{
		"plain":         {Data: []byte("as it is")},
		"agent.zst":     {Data: encoder.EncodeAll([]byte("unpacked"), nil)},
		"empty.zst":     {Data: encoder.EncodeAll(nil, nil)},
		"damaged.zst":   {Data: []byte("not compressed")},
		"truncated.zst": {Data: encoder.EncodeAll([]byte("unpacked"), nil)[:8]},
	}}
	for name, want := range map[string]string{"plain": "as it is", "agent": "unpacked", "empty": ""} {
		got, err := u.ReadFile(name)
		assert.NilError(t, err)
		assert.Equal(t, string(got), want)
	}
	for _, name := range []string{"damaged", "truncated"} {
		_, err := u.ReadFile(name)
		assert.ErrorContains(t, err, "unpacking "+name)
		assert.Assert(t, !errors.Is(err, fs.ErrNotExist))
	}
	_, err = u.ReadFile("missing")
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// checkStatic checks that a binary needs no loader and no libraries.
func checkStatic(t *testing.T, content []byte, machine elf.Machine) {
	t.Helper()
	file, err := elf.NewFile(bytes.NewReader(content))
	assert.NilError(t, err)
	assert.Check(t, is.Equal(file.Machine, machine))
	assert.Check(t, is.Equal(file.Type, elf.ET_EXEC))
	for _, segment := range file.Progs {
		assert.Check(t, segment.Type != elf.PT_INTERP && segment.Type != elf.PT_DYNAMIC, "there is a segment %s", segment.Type)
	}
	libraries, err := file.ImportedLibraries()
	assert.Check(t, err)
	assert.Check(t, is.Len(libraries, 0))
}
