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

// nestedAt has an experiment with a nested engine pass a tap, and does something
// when a container has been made and the plugin has not heard of it.
func nestedAt(t *testing.T, b *bench, role string, do func(m moment)) (args []string, tap *tap) {
	t.Helper()
	tap = startTap(t, b.Engine, func(m moment) {
		if m.is("POST /containers/create", true) && roleOf(m.Name) == role {
			do(m)
		}
	})
	return inside(longWait, "--access", "dind", "--dind-image", enginetest.DindImage(t, b.Engine)), tap
}

// The API of a nested engine is for the client beside it alone.
func TestNestedEngineAPIOnlyForClient(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Engine28_5)
	args, tap := nestedAt(t, b, "dind-sibling", func(m moment) {
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

// Ctrl-C ends an experiment with a nested engine at whatever moment, and nothing of
// it is left, its data included.
func TestInterruptNestedEngine(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Engine28_5)
	for _, role := range nestedRoles() {
		t.Run(role, func(t *testing.T) {
			made, interrupted := make(chan struct{}), make(chan struct{})
			args, tap := nestedAt(t, b, role, func(moment) { close(made); <-interrupted })
			p, terminal := startOnTerminal(t, through(b.nestprobe(t, args...), tap))
			p.reaches(t, made)
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

// A nested engine that is killed while it is at work ends the experiment, which says
// so and removes the rest.
func TestNestedEngineKilled(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Engine28_5)
	for _, role := range nestedRoles()[1:] {
		t.Run(role, func(t *testing.T) {
			args, tap := nestedAt(t, b, role, func(m moment) {
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
