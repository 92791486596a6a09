//go:build linux

package plugin_test

import (
	"fmt"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// The container that is asked from stays as it is when the asking is interrupted
// or killed, and its helper goes.
func TestFromEndsEarly(t *testing.T) {
	t.Parallel()
	onEach(t, relayKinds(), func(t *testing.T, b *bench) {
		t.Helper()
		b.makeContainer(t, "users", "none", nil, true)
		before := b.state(t, "users")
		for name, end := range map[string]func(*testing.T, *process) bool{
			"interrupted": func(t *testing.T, p *process) bool {
				t.Helper()
				p.signal(t, syscall.SIGINT)
				return assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stderr)
			},
			"killed": func(t *testing.T, p *process) bool {
				t.Helper()
				assert.NilError(t, p.plugin(t).Kill())
				return assert.Check(t, p.status(t) != 0)
			},
		} {
			t.Run(name, func(t *testing.T) {
				p := start(t, b.nestprobe(t, inside("--from", "users", "--wait", "10m")...))
				b.allRunning(t, p, 2) // server and helper
				end(t, p)
				b.gone(t)
				assert.Check(t, is.Equal(b.state(t, "users"), before))
			})
		}
	})
}

// state is all that an engine says of a container and of what it has changed.
func (b *bench) state(t *testing.T, name string) string {
	t.Helper()
	_, inspected, err := b.api.ContainerInspectWithRaw(t.Context(), name, true)
	assert.NilError(t, err)
	changes, err := b.api.ContainerDiff(t.Context(), name)
	assert.NilError(t, err)
	return fmt.Sprintf("%s %v", inspected, changes)
}
