//go:build linux

package plugin_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// Without a target diagnose asks, and does nothing else.
func TestDiagnoseOnlyAsks(t *testing.T) {
	t.Parallel()
	onEach(t, []enginetest.Kind{enginetest.Engine26_1, enginetest.Podman}, func(t *testing.T, b *bench) {
		t.Helper()
		tap := startTap(t, b.Engine, func(m moment) {
			assert.Check(t, strings.HasPrefix(m.Request, "GET ") || strings.HasPrefix(m.Request, "HEAD "), m.Request)
		})
		p := start(t, through(b.nestprobe(t, "diagnose"), tap))
		assert.Check(t, is.Equal(p.status(t), 0), "%s", &p.stderr)
	})
}
