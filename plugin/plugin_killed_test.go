//go:build linux

package plugin_test

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// killMoment is a request to the engine at which a process is killed.
type killMoment struct {
	name     string
	request  string
	answered bool
	left     int // containers that stay until a command after their deadline
}

// longWait gives containers a deadline far beyond [hangs], so that those that end within
// [hangs] end with their leases.
const longWait = "--wait=10m"

// When a plugin is killed, what it has started ends with its lease: the built-in server,
// or the client, which removes its servers. A container that never ran had no lease, and
// stays until its deadline, as a network does.
func TestPluginKilled(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		for _, at := range []killMoment{
			{"the image is being loaded", "POST /images/load", false, 0},
			{"the container has been created", "POST /containers/create", true, 1},
			{"the lease has been taken", "POST /containers/ID/attach", true, 1},
			{"the container has been started", "POST /containers/ID/start", true, 0},
			{"its addresses are known", "GET /containers/ID/json", true, 0},
			{"the container is being removed", "DELETE /containers/ID", false, 0},
		} {
			t.Run(at.name, func(t *testing.T) { killPlugin(t, b, at, "run", longWait) })
		}
		at := killMoment{"the network has been made", "POST /networks/create", true, 0}
		t.Run(at.name, func(t *testing.T) {
			killAndSettle(t, b, at, "run", longWait, "--network-driver", "bridge")
			deadline := b.leftNetwork(t)
			assert.Check(t, time.Until(deadline) > hangs, "its deadline is %s", deadline)
			b.removeNetworks(t)
			checkNothingLeft(t, b.Engine)
		})
	})
}

func TestPluginKilledWithClient(t *testing.T) {
	t.Parallel()
	onEach(t, relayKinds(), func(t *testing.T, b *bench) {
		args := inside(longWait, "--access", "socket", "--socket-path", b.Socket)
		for _, at := range []killMoment{
			{"the image is being loaded", "POST /images/load", false, 0},
			{"the client has been created", "POST /containers/create", true, 1},
			{"the lease has been taken", "POST /containers/ID/attach", true, 1},
			{"the client has been started", "POST /containers/ID/start", true, 0},
			{"the client is being removed", "DELETE /containers/ID", false, 0},
		} {
			t.Run(at.name, func(t *testing.T) { killPlugin(t, b, at, args...) })
		}
		at := killMoment{"it sends a request through a relay", "GET /containers/ID/json", true, 0}
		t.Run(at.name, func(t *testing.T) { killPlugin(t, b, at, append(args, "--relay", "--servers", "2")...) })
	})
}

// killPlugin kills the plugin at a moment, and checks that nothing is left but the
// containers that never ran.
func killPlugin(t *testing.T, b *bench, at killMoment, args ...string) {
	t.Helper()
	killAndSettle(t, b, at, args...)
	checkNothingLeft(t, b.Engine)
}

// killAndSettle kills the plugin at a moment, waits until only so many containers
// that never ran are left, and removes those.
func killAndSettle(t *testing.T, b *bench, at killMoment, args ...string) {
	t.Helper()
	tap, killed := killAt(t, b, at, func(m moment) int { return m.Client })
	p := start(t, through(b.nestprobe(t, args...), tap))
	if args[0] == "run" && strings.HasPrefix(at.request, "DELETE") && b.Address != "" {
		b.awaitRunning(t)
		p.signal(t, syscall.SIGINT) // past a tap on a remote engine no server is reached, so only this ends the wait
	}
	status := p.status(t)
	assert.Assert(t, is.Len(killed, 1), "the moment did not come: %s", &p.stderr)
	assert.Check(t, status != 0, "docker exits with 0")
	all := b.awaitContainers(t, "what was started to end", func(all []container.Summary) bool { return len(all) == at.left })
	t.Logf("status %d; settled %s after SIGKILL", status, time.Since(<-killed).Round(time.Millisecond))
	for _, c := range all { // until the deadline
		assert.Check(t, is.Equal(c.State, "created"))
		assert.NilError(t, b.api.ContainerRemove(t.Context(), c.ID, container.RemoveOptions{}))
	}
}

// leftNetwork is the deadline of the one network that is left.
func (b *bench) leftNetwork(t *testing.T) time.Time {
	t.Helper()
	left := b.networks(t)
	assert.Assert(t, is.Len(left, 1))
	deadline, err := time.Parse(time.RFC3339, left[0].Labels[engine.LabelDeadline])
	assert.NilError(t, err)
	return deadline
}

func (b *bench) removeNetworks(t *testing.T) {
	t.Helper()
	for _, n := range b.networks(t) {
		assert.NilError(t, b.api.NetworkRemove(t.Context(), n.ID))
	}
}

// killAt starts a tap that kills a process at the first request of a kind, and reports
// when that was.
func killAt(t *testing.T, b *bench, at killMoment, victim func(moment) int) (tap *tap, killed <-chan time.Time) {
	t.Helper()
	var once sync.Once
	when := make(chan time.Time, 1)
	tap = startTap(t, b.Engine, func(m moment) {
		if m.is(at.request, at.answered) {
			once.Do(func() {
				pid := victim(m)
				when <- time.Now() // before the kill, since the test reads it when the process has ended
				_ = syscall.Kill(pid, syscall.SIGKILL)
			})
		}
	})
	return tap, when
}

// When docker is killed, the plugin sees that docker's socket is closed, cleans up and
// ends.
func TestDockerKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	p := start(t, b.nestprobe(t, b.silent("--network-driver", "bridge")...))
	b.awaitRunning(t)
	p.signal(t, syscall.SIGKILL)
	assert.Check(t, is.Equal(p.status(t), 128+9)) // which waits for the plugin, too
	assert.Check(t, is.Equal(p.stderr.String(), "interrupted\n"))
	checkNothingLeft(t, b.Engine)
}
