//go:build linux

package plugin_test

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// threeModes are three network modes, each with a network, a server and a peer.
func threeModes(flags ...string) []string {
	return append(flags, "--networks", "user-bridge,internal,mtu")
}

// When a run of network modes is interrupted, all its servers, peers and networks are
// removed.
func TestNetworksInterrupted(t *testing.T) {
	t.Parallel()
	onEach(t, []enginetest.Kind{enginetest.Toolbox, enginetest.Podman}, func(t *testing.T, b *bench) {
		for name, run := range map[string]struct {
			args       []string
			containers int
		}{
			"from the host": {threeModes("run"), 6},
			"from a client": {threeModes(inside("--access", "socket")...), 7},
		} {
			t.Run(name, func(t *testing.T) {
				p := start(t, b.nestprobe(t, append(run.args, "--wait", "10m", b.image, "--listen", "none")...))
				b.awaitAllRunning(t, p, run.containers)
				p.signal(t, syscall.SIGINT)
				assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stderr)
				assert.Check(t, is.Equal(p.messages(), "interrupted\n"))
				checkNothingLeft(t, b.Engine)
			})
		}
	})
}

// A second interrupt ends the command within its bound, and the networks go too.
func TestNetworksInterruptedTwice(t *testing.T) {
	t.Parallel()
	onEach(t, []enginetest.Kind{enginetest.Toolbox, enginetest.Podman}, func(t *testing.T, b *bench) {
		p := start(t, b.nestprobe(t, append(threeModes("run"), "--wait", "10m", b.image, "--listen", "none")...))
		b.awaitAllRunning(t, p, 6)
		plugin := p.plugin(t)
		began := time.Now()
		for range 2 {
			assert.NilError(t, plugin.Signal(syscall.SIGINT))
			awaitDelivered(t, plugin)
		}
		assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stderr)
		assert.Check(t, time.Since(began) < soon, "it took %s", time.Since(began))
		b.awaitGone(t)
		b.awaitNetworksGone(t)
	})
}

// An interrupted run shows the modes measured by then, also those that a client has
// measured.
func TestNetworksInterruptedShowMeasuredModes(t *testing.T) {
	t.Parallel()
	onEach(t, []enginetest.Kind{enginetest.Engine26_1, enginetest.Podman}, func(t *testing.T, b *bench) {
		for _, command := range [][]string{{"run"}, inside("--access", "socket")} {
			args := slices.Concat(command, []string{"--networks", "none,user-bridge", "--wait", "10m", b.image, "--listen", "none"})
			awaitRemoval := b.watchRemoval(t, "-none-1")
			p := start(t, b.nestprobe(t, args...))
			awaitRemoval()
			p.signal(t, syscall.SIGINT)
			assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stderr)
			assert.Check(t, is.Contains(p.stdout.String(), ": network-none: "))
			assert.Check(t, !strings.Contains(p.stdout.String(), "user-bridge"), "it is not measured: %s", &p.stdout)
			checkNothingLeft(t, b.Engine)
		}
	})
}

// watchRemoval returns a function that waits until a container whose name ends with the
// suffix is removed.
func (b *bench) watchRemoval(t *testing.T, suffix string) (wait func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hangs)
	t.Cleanup(cancel)
	happened, errs := b.api.Events(ctx, events.ListOptions{Filters: filters.NewArgs(filters.Arg("type", "container"))})
	return func() {
		for {
			select {
			case e := <-happened: // Docker says destroy, Podman remove
				if (e.Action == events.ActionDestroy || e.Action == events.ActionRemove) && strings.HasSuffix(e.Actor.Attributes["name"], suffix) {
					return
				}
			case err := <-errs:
				t.Fatalf("waiting for the removal of %s: %v", suffix, err)
			}
		}
	}
}

// When the plugin is killed, its reaper removes the servers, the peers and the networks.
func TestNetworksKilled(t *testing.T) {
	t.Parallel()
	onEach(t, []enginetest.Kind{enginetest.Engine28_5, enginetest.Podman}, func(t *testing.T, b *bench) {
		at := killMoment{"a server has been started", "POST /containers/ID/start", true, false}
		tap, killed := killAt(t, b, at, func(m moment) int { return m.Client })
		p := start(t, through(b.nestprobe(t, threeModes("run", longWait)...), tap))
		assert.Check(t, p.status(t) != 0)
		assert.Assert(t, is.Len(killed, 1), "the moment did not come: %s", &p.stderr)
		b.awaitGone(t)
		b.awaitNetworksGone(t)
	})
}
