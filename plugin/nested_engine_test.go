//go:build linux

package plugin_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// nestedRoles are the containers of an experiment with a nested engine, in the order
// in which they are made.
func nestedRoles() []string { return []string{"dind", "dind-client", "dind-sibling"} }

// tapNested returns the arguments and the tap for an experiment with a nested engine. It
// calls do when the engine has made a container, before the plugin gets the answer.
func tapNested(t *testing.T, b *bench, role string, do func(m moment)) (args []string, tap *tap) {
	t.Helper()
	tap = startTap(t, b.Engine, func(m moment) {
		if m.is("POST /containers/create", true) && roleOf(m.Name) == role {
			do(m)
		}
	})
	return inside(longWait, "--access", "dind", "--dind-image", enginetest.DindImage(t, b.Engine)), tap
}

// Only the client of a nested engine can reach its API.
func TestNestedEngineAPIOnlyForClient(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Engine28_5)
	args, tap := tapNested(t, b, "dind-sibling", func(m moment) {
		engine, _, _ := strings.Cut(m.Name, "-sibling")
		found, err := b.api.ContainerInspect(t.Context(), engine)
		if !assert.Check(t, err) {
			return
		}
		address := found.NetworkSettings.Networks["bridge"].IPAddress
		out, err := b.Command(t.Context(), "bash", "-c", "exec 3<>/dev/tcp/"+address+"/2375").CombinedOutput()
		assert.Check(t, err != nil && strings.Contains(string(out), "refused"), "%v: %s", err, out)
	})
	p := start(t, through(b.nestprobe(t, args...), tap))
	assert.Check(t, is.Equal(p.status(t), 0), "%s%s", &p.stdout, &p.stderr)
}

// Ctrl-C ends an experiment with a nested engine at any moment. Nothing is left, not even
// the engine's data.
func TestInterruptNestedEngine(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Engine28_5)
	for _, role := range nestedRoles() {
		t.Run(role, func(t *testing.T) {
			made, interrupted := make(chan struct{}), make(chan struct{})
			args, tap := tapNested(t, b, role, func(moment) { close(made); <-interrupted })
			p, terminal := startOnTerminal(t, through(b.nestprobe(t, args...), tap))
			p.awaitMoment(t, made)
			_, err := terminal.WriteString("\x03")
			close(interrupted)
			assert.NilError(t, err)
			assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stdout)
			assert.Check(t, is.Equal(strings.Count(p.stdout.String(), "interrupted"), 1), "%s", &p.stdout)
			checkNothingLeft(t, b.Engine)
			assert.Check(t, is.Len(b.volumes(t), 0))
		})
	}
}

// When a nested engine is killed during the experiment, the command reports that, ends,
// and removes the rest.
func TestNestedEngineKilled(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Engine28_5)
	for _, role := range nestedRoles()[1:] {
		t.Run(role, func(t *testing.T) {
			args, tap := tapNested(t, b, role, func(m moment) {
				engine, _, _ := strings.Cut(m.Name, "-"+role)
				assert.Check(t, b.api.ContainerKill(t.Context(), engine+"-dind", "KILL"))
			})
			p := start(t, through(b.nestprobe(t, args...), tap))
			assert.Check(t, is.Equal(p.status(t), 125), "%s", &p.stdout)
			assert.Check(t, is.Contains(p.stderr.String(), "the nested engine exited with code 137"))
			checkNothingLeft(t, b.Engine)
			assert.Check(t, is.Len(b.volumes(t), 0))
		})
	}
}
