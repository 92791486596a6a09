//go:build linux

package plugin_test

import (
	"sync/atomic"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// The agent's image is cached on the engine: only the first command uploads it.
func TestAgentImageUploadedOnce(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		var uploads atomic.Int32
		tap := startTap(t, b.Engine, func(m moment) {
			if m.is("POST /images/load", false) {
				uploads.Add(1)
			}
		})
		b.makeContainer(t, "users", "", nil, true)
		// The server and the helper of --from need the agent in parallel, and so do the peers
		// of the network modes.
		for _, args := range [][]string{
			inside("--from", "users"), {"run", "--networks", "several,dual-stack", b.image}, {"run"},
		} {
			p := start(t, through(b.nestprobe(t, args...), tap))
			assert.Check(t, is.Equal(p.status(t), 0), "%s", &p.stderr)
			assert.Check(t, is.Equal(uploads.Load(), int32(1)))
		}
	})
}
