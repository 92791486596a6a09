//go:build linux

package plugin_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// When a command with --from is interrupted or killed, the container that it probes from
// stays as it is, and the helper is removed.
func TestFromInterruptedOrKilled(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		b.makeContainer(t, "users", "none", nil, true)
		b.interruptAndKill(t, "users", (*process).signal, inside("--from", "users", "--wait", "10m")...)
	})
}

// interruptAndKill interrupts a command that has two containers, and kills the plugin
// of another such command. It checks that the containers go, and that the container
// which the command probes from stays as it is.
func (b *bench) interruptAndKill(t *testing.T, source string, signal func(*process, *testing.T, syscall.Signal), args ...string) {
	t.Helper()
	before := b.state(t, source)
	for name, end := range map[string]func(*testing.T, *process) bool{
		"interrupted": func(t *testing.T, p *process) bool {
			t.Helper()
			signal(p, t, syscall.SIGINT)
			return assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stderr)
		},
		"killed": func(t *testing.T, p *process) bool {
			t.Helper()
			assert.NilError(t, p.plugin(t).Kill())
			return assert.Check(t, p.status(t) != 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, b.nestprobe(t, args...))
			b.awaitAllRunning(t, p, 2)
			end(t, p)
			b.awaitGone(t)
			assert.Check(t, is.Equal(b.state(t, source), before))
		})
	}
}

// --keep does not keep helpers: one that never ran when the plugin was killed with its reaper
// has a deadline.
func TestHelpersAreNotKept(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Engine28_5)
	b.makeContainer(t, "users", "", nil, true)
	for helper, args := range map[string][]string{
		"from":    inside("--from", "users", "--keep"),
		"witness": {"run", "--keep", "--wait", "1s", b.image, "--listen", "none"},
	} {
		t.Run(helper, func(t *testing.T) {
			tap := startTap(t, b.Engine, killOnceMade(t, helper))
			p := start(t, through(b.nestprobe(t, args...), tap))
			assert.Check(t, p.status(t) > 1, "%s", &p.stderr)
			found := 0
			for _, c := range b.containers(t) {
				if strings.HasPrefix(roleOf(c.Names[0]), helper) {
					found++
					_, err := time.Parse(time.RFC3339, c.Labels[engine.LabelDeadline])
					assert.Check(t, err)
				}
				err := b.api.ContainerRemove(t.Context(), c.ID, container.RemoveOptions{Force: true})
				// The plugin was killed during a start, which may have failed: then the
				// engine removes the server.
				assert.Check(t, err == nil || errdefs.IsConflict(err) || errdefs.IsNotFound(err), "%v", err)
			}
			assert.Check(t, is.Equal(found, 1))
			b.awaitGone(t)
			checkNothingLeft(t, b.Engine)
		})
	}
}

// killOnceMade kills the process that requests a helper when the engine has made that
// helper and is making no other container.
func killOnceMade(t *testing.T, helper string) func(moment) {
	t.Helper()
	var mu sync.Mutex
	making, made := 0, false
	over, end := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(end)
	return func(m moment) {
		if !m.is("POST /containers/create", m.Answered) {
			return
		}
		mu.Lock()
		if made && !m.Answered { // further requests are not passed on
			mu.Unlock()
			<-over.Done()
			return
		}
		defer mu.Unlock()
		if m.Answered {
			making--
			made = made || strings.HasPrefix(roleOf(m.Name), helper)
		} else {
			making++
		}
		if made && making == 0 {
			killWithChildren(m.Client)
		}
	}
}

// state is everything that an engine reports about a container and its changed files.
func (b *bench) state(t *testing.T, name string) string {
	t.Helper()
	_, inspected, err := b.api.ContainerInspectWithRaw(t.Context(), name, true)
	assert.NilError(t, err)
	changes, err := b.api.ContainerDiff(t.Context(), name)
	assert.NilError(t, err)
	return fmt.Sprintf("%s %v", inspected, changes)
}
