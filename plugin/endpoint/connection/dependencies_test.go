package connection

import (
	"os/exec"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// TestDependencies keeps docker/cli out of the agent, which contains this
// package.
func TestDependencies(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(out), "github.com/docker/docker/client\n"), "the list is not of this package:\n%s", out)
	for dependency := range strings.Lines(string(out)) {
		assert.Assert(t, !strings.HasPrefix(dependency, "github.com/docker/cli"), dependency)
	}
}
