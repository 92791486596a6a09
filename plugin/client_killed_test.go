//go:build linux

package plugin_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// If the plugin or the client is killed at any request of the client's, the other one
// removes everything, containers that never ran included.
func TestPluginOrClientKilledAtAnyRequest(t *testing.T) {
	t.Parallel()
	moments := []killMoment{ // requests of the client's
		{"the network has been made", "POST /networks/create", true, false},
		{"the server has been created", "POST /containers/create", true, false},
		{"the lease has been taken", "POST /containers/ID/attach", true, false},
		{"the server has been started", "POST /containers/ID/start", true, false},
		{"its addresses are known", "GET /networks/ID", true, false},
		{"the server is being removed", "DELETE /containers/ID", false, false},
	}
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		b.succeeds(t, "run", "-q") // to have the agent on the engine
		for i, at := range moments {
			for _, role := range []string{"client", "relay"} {
				if role == "relay" && (b.Kind != enginetest.Engine28_5 || i%2 == 0) {
					continue // a relay makes the same requests
				}
				t.Run(role+" lives, "+at.name, func(t *testing.T) { killAtWork(t, b, at, role, false) })
				t.Run(role+" dies, "+at.name, func(t *testing.T) { killAtWork(t, b, at, role, true) })
			}
		}
	})
}

// killAtWork has the client's requests pass a tap, and kills either the client or
// the plugin at one of them.
func killAtWork(t *testing.T, b *bench, at killMoment, role string, client bool) {
	t.Helper()
	plugin := make(chan int, 1)
	outer := startTap(t, b.Engine, func(m moment) {
		if m.is("POST /containers/create", false) {
			plugin <- m.Client
		}
	})
	inner, killed := killAt(t, b, at, func(m moment) int {
		if client {
			return m.Client
		}
		return <-plugin
	})
	args := inside(longWait, "--socket-path", strings.TrimPrefix(inner.Host, "unix://"), "--network-driver", "bridge")
	if role == "relay" {
		args = append(args, "--relay")
	}
	p := start(t, through(b.nestprobe(t, args...), outer))
	status := p.status(t)
	assert.Assert(t, is.Len(killed, 1), "the moment did not come: %s", &p.stderr)
	assert.Check(t, status != 0, "docker exits with 0")
	b.awaitGone(t)
	b.awaitNetworksGone(t)
	t.Logf("status %d; nothing left %s after SIGKILL", status, time.Since(<-killed).Round(time.Millisecond))
}

// If docker, the plugin or both are killed while a client waits for its servers,
// nothing is left. The client still runs, so it also removes servers from a user's
// image, and the network.
func TestKilledWhileClientWaits(t *testing.T) {
	t.Parallel()
	onEach(t, untappedKinds(), func(t *testing.T, b *bench) {
		all := b.Kind == enginetest.Engine28_5 // which processes are killed makes no difference to the engine
		for _, images := range [][]string{nil, {b.image}} {
			if images != nil && !all {
				continue
			}
			args, running := b.waiting(images...)
			kills := map[string]func(*testing.T, *process){
				"the plugin": func(t *testing.T, p *process) { t.Helper(); assert.NilError(t, p.plugin(t).Kill()) },
			}
			if all {
				kills["docker"] = func(t *testing.T, p *process) { t.Helper(); p.signal(t, syscall.SIGKILL) }
				kills["both"] = func(t *testing.T, p *process) { t.Helper(); p.signalGroup(t, syscall.SIGKILL) }
			}
			for name, kill := range kills {
				t.Run(fmt.Sprintf("%s with %d servers", name, running-1), func(t *testing.T) {
					p := start(t, b.nestprobe(t, args...))
					b.awaitAllRunning(t, p, running)
					kill(t, p)
					began := time.Now()
					p.status(t)
					b.awaitGone(t)
					b.awaitNetworksGone(t)
					t.Logf("nothing left %s after SIGKILL", time.Since(began).Round(time.Millisecond))
				})
			}
		}
	})
}

// When a client is killed, its built-in servers end. The command reports its exit code
// and removes the rest.
func TestClientKilled(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		for _, images := range [][]string{nil, {b.image}} {
			args, running := b.waiting(images...)
			p := start(t, b.nestprobe(t, args...))
			for _, c := range b.awaitAllRunning(t, p, running) {
				if isClient(c) {
					assert.NilError(t, b.api.ContainerKill(t.Context(), c.ID, "KILL"))
				}
			}
			assert.Check(t, is.Equal(p.status(t), 125), "%s", &p.stderr)
			assert.Check(t, is.Contains(p.stderr.String(), "-client-1 exited with code 137 before it had done its work"))
			checkNothingLeft(t, b.Engine)
		}
	})
}

// When the plugin is killed, its reaper also removes the nested engine, which has no lease, with
// its volume.
func TestPluginKilledWithNestedEngine(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Engine28_5)
	args := inside("--access", "dind", "--dind-image", enginetest.DindImage(t, b.Engine))
	for _, created := range []string{"dind", "dind-client", "dind-sibling"} { // the container whose creation is answered after the plugin was killed
		t.Run(created, func(t *testing.T) {
			tap := startTap(t, b.Engine, func(m moment) {
				if m.is("POST /containers/create", true) && roleOf(m.Name) == created {
					_ = syscall.Kill(m.Client, syscall.SIGKILL)
				}
			})
			p := start(t, through(b.nestprobe(t, args...), tap))
			assert.Check(t, p.status(t) != 0, "docker exits with 0")
			b.awaitGone(t)
			checkNothingLeft(t, b.Engine)
			assert.Check(t, is.Len(b.volumes(t), 0))
		})
	}
}

// isClient reports whether a container is a client, or a relay.
func isClient(c container.Summary) bool { return strings.Contains(c.Names[0], "-client-") }

// roleOf is the part of a container's name after the id of the run.
func roleOf(name string) string {
	_, role, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(name, "/"), "nestprobe-"), "-")
	return role
}
