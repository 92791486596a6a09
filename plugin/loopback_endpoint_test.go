//go:build linux

package plugin_test

import (
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// An endpoint on this machine's loopback would lead a client to itself. The client gets
// the engine's socket instead.
func TestLoopbackEndpointIsNotCarried(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	tap := listenTap(t, b.Engine, "tcp", "127.0.0.1:0", func(moment) {})
	p := start(t, through(b.nestprobe(t, inside("--access", "endpoint", "--format", "json")...), tap))
	assert.Check(t, is.Equal(p.status(t), 1), "%s", &p.stderr)
	assert.Check(t, is.DeepEqual(causes(t, p), []string{"in-container-endpoint-is-loopback"}))

	p = start(t, through(b.nestprobe(t, inside("--socket-path", b.Socket)...), tap))
	assert.Check(t, is.Equal(p.status(t), 0), "%s", &p.stderr)
	assert.Check(t, is.Contains(p.stdout.String(), "\naccess socket works\n"))
}
