//go:build linux

package plugin_test

import (
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// killMoment is a request to the engine at which a process is killed.
type killMoment struct {
	name     string
	request  string
	answered bool
	reaper   bool // kill the plugin's reaper too
}

// longWait gives containers a deadline far beyond [hangs], so that those that end within
// [hangs] end with their leases.
const longWait = "--wait=10m"

// When a plugin is killed, its reaper removes what it has made: also a container that never
// ran, which has no lease, and networks.
func TestPluginKilled(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		for _, at := range []killMoment{
			{"the image is being loaded", "POST /images/load", false, false},
			{"the container has been created", "POST /containers/create", true, false},
			{"the lease has been taken", "POST /containers/ID/attach", true, false},
			{"the container has been started", "POST /containers/ID/start", true, false},
			{"its addresses are known", "GET /containers/ID/json", true, false},
			{"the container is being removed", "DELETE /containers/ID", false, false},
		} {
			t.Run(at.name, func(t *testing.T) { killPlugin(t, b, at, "run", longWait) })
		}
		at := killMoment{"the network has been made", "POST /networks/create", true, false}
		t.Run(at.name, func(t *testing.T) { killPlugin(t, b, at, "run", longWait, "--network-driver", "bridge") })
	})
}

func TestPluginKilledWithClient(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		args := inside(longWait, "--access", "socket", "--socket-path", b.Socket)
		for _, at := range []killMoment{
			{"the image is being loaded", "POST /images/load", false, false},
			{"the client has been created", "POST /containers/create", true, false},
			{"the lease has been taken", "POST /containers/ID/attach", true, false},
			{"the client has been started", "POST /containers/ID/start", true, false},
			{"the client is being removed", "DELETE /containers/ID", false, false},
		} {
			t.Run(at.name, func(t *testing.T) { killPlugin(t, b, at, args...) })
		}
		at := killMoment{"the relay is about to get its job", "GET /containers/ID/json", true, false}
		t.Run(at.name, func(t *testing.T) { killPlugin(t, b, at, append(args, "--relay", "--servers", "2")...) })
	})
}

// killPlugin kills the plugin at a moment, and checks that nothing stays.
func killPlugin(t *testing.T, b *bench, at killMoment, args ...string) {
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
	b.awaitGone(t)
	b.awaitNetworksGone(t)
	t.Logf("status %d; settled %s after SIGKILL", status, time.Since(<-killed).Round(time.Millisecond))
	checkNothingLeft(t, b.Engine)
}

// killWithChildren kills a plugin and its reaper, as when the container or the machine that
// they run in ends.
func killWithChildren(pid int) {
	children, _ := exec.Command("ps", "--no-headers", "-o", "pid", "--ppid", itoa(pid)).Output()
	for _, child := range strings.Fields(string(children)) {
		if n, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(n, syscall.SIGKILL)
		}
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
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
				if at.reaper {
					killWithChildren(pid)
				} else {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
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
	assert.Check(t, is.Equal(p.messages(), "interrupted\n"))
	checkNothingLeft(t, b.Engine)
}
