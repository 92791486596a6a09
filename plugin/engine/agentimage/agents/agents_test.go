package agents

import (
	"bytes"
	"debug/elf"
	"io/fs"
	"testing"

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
	built, err := fs.Glob(Files, "nestprobe-agent-*")
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
