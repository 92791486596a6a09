//go:build linux

package plugin_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// Without a target, diagnose only reads from the engine.
func TestDiagnoseSendsOnlyGETAndHEAD(t *testing.T) {
	t.Parallel()
	onEach(t, []enginetest.Kind{enginetest.Engine26_1, enginetest.Podman}, func(t *testing.T, b *bench) {
		tap := startTap(t, b.Engine, func(m moment) {
			assert.Check(t, strings.HasPrefix(m.Request, "GET ") || strings.HasPrefix(m.Request, "HEAD "), m.Request)
		})
		p := start(t, through(b.nestprobe(t, "diagnose"), tap))
		assert.Check(t, is.Equal(p.status(t), 0), "%s", &p.stderr)
	})
}

// diagnose finds nothing wrong with a healthy nested engine. Scripts do not run on this
// kind.
func TestDiagnoseHealthyNestedEngine(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Dind)
	for _, args := range [][]string{{"diagnose", "-q"}, {"diagnose"}} {
		p := start(t, b.nestprobe(t, args...))
		assert.Check(t, is.Equal(p.status(t), 0), "%s%s", &p.stdout, &p.stderr)
		assert.Check(t, !strings.Contains(p.stdout.String(), "failure"), "%s", &p.stdout)
	}
}
