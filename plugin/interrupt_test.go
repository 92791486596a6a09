//go:build linux

package plugin_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
	"gotest.tools/v3/poll"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// statusInterrupted is 128 + SIGINT.
const statusInterrupted = 130

// Ctrl-C on a terminal ends a run that waits for an answer. When the command has
// ended, what it made is gone.
func TestInterruptOnTerminal(t *testing.T) {
	t.Parallel()
	onEach(t, untappedKinds(), func(t *testing.T, b *bench) {
		p, terminal := startOnTerminal(t, b.nestprobe(t, b.silent("--network-driver", "bridge")...))
		p.stdout.await(t, "Waiting for an answer...")
		assert.Assert(t, is.Len(b.networks(t), 1))
		began := time.Now()
		_, err := terminal.WriteString("\x03")
		assert.NilError(t, err)
		assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stdout)
		assert.Check(t, time.Since(began) < soon, "it took %s", time.Since(began))
		assert.Check(t, is.Equal(strings.Count(p.stdout.String(), "interrupted"), 1), "%s", &p.stdout)
		checkNothingLeft(t, b.Engine)
	})
}

// holdRemoval starts a tap that signals when a container with this name is to be
// removed, and passes the request on after release.
func holdRemoval(t *testing.T, b *bench, name string) (tap *tap, removing <-chan struct{}, release func()) {
	t.Helper()
	requested, held := make(chan struct{}), make(chan struct{})
	signal := sync.OnceFunc(func() { close(requested) })
	tap = startTap(t, b.Engine, func(m moment) {
		if m.is("DELETE /containers/"+name, false) {
			signal()
			<-held
		}
	})
	return tap, requested, sync.OnceFunc(func() { close(held) })
}

// The second Ctrl-C does not wait for the clean-up. It may end docker itself, which for
// a moment has no handler for signals between its first one and those that follow.
func TestInterruptTwiceOnTerminal(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	tap, removing, release := holdRemoval(t, b, "nestprobe-ID-1")
	p, terminal := startOnTerminal(t, through(b.nestprobe(t, b.silent()...), tap))
	p.stdout.await(t, "Waiting for an answer...")
	_, err := terminal.WriteString("\x03")
	assert.NilError(t, err)
	<-removing
	_, err = terminal.WriteString("\x03")
	assert.NilError(t, err)
	assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stdout)
	release()
	b.awaitGone(t)
}

// Without a terminal, a signal to docker, to the plugin or to both ends the command, and
// the server is gone then.
func TestSignalsOffTerminal(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	tests := []struct {
		name   string
		send   func(t *testing.T, p *process)
		status int
	}{
		{"SIGINT to docker", func(t *testing.T, p *process) { t.Helper(); p.signal(t, syscall.SIGINT) }, statusInterrupted},
		{"SIGTERM to docker", func(t *testing.T, p *process) { t.Helper(); p.signal(t, syscall.SIGTERM) }, statusInterrupted},
		{"SIGINT to all", func(t *testing.T, p *process) { t.Helper(); p.signalGroup(t, syscall.SIGINT) }, statusInterrupted},
		{"SIGTERM to all", func(t *testing.T, p *process) { t.Helper(); p.signalGroup(t, syscall.SIGTERM) }, statusInterrupted},
		{"SIGINT to the plugin", func(t *testing.T, p *process) { t.Helper(); assert.NilError(t, p.plugin(t).Signal(syscall.SIGINT)) }, statusInterrupted},
		{"SIGTERM to the plugin", func(t *testing.T, p *process) { t.Helper(); assert.NilError(t, p.plugin(t).Signal(syscall.SIGTERM)) }, statusInterrupted},
	}
	b := newBench(t, enginetest.Toolbox)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, b.nestprobe(t, b.silent("--network-driver", "bridge")...))
			b.awaitRunning(t)
			test.send(t, p)
			assert.Check(t, is.Equal(p.status(t), test.status), "%s", &p.stderr)
			assert.Check(t, is.Equal(strings.Count(p.stderr.String(), "interrupted"), 1), "%s", &p.stderr)
			checkNothingLeft(t, b.Engine)
		})
	}
}

// A run ends even if the engine never answers a request, whether the run cancels that
// request or not.
func TestInterruptHangingEngine(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	b.succeeds(t, "run", "-q") // to have the agent on the engine
	for _, request := range []string{
		"POST /networks/create",
		"POST /containers/create",
		"POST /containers/ID/attach",
		"POST /containers/ID/wait",
		"POST /containers/ID/start",
		"GET /containers/ID/json",
	} {
		t.Run(request, func(t *testing.T) {
			requested, release := make(chan struct{}, 100), make(chan struct{})
			tap := startTap(t, b.Engine, func(m moment) {
				if m.is(request, false) {
					requested <- struct{}{}
					<-release
					panic(http.ErrAbortHandler) // the engine never gets to it
				}
			})
			p := start(t, through(b.nestprobe(t, "run", "--network-driver", "bridge"), tap))
			<-requested
			began := time.Now()
			p.signal(t, syscall.SIGTERM)
			assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stderr)
			assert.Check(t, time.Since(began) < soon, "it took %s", time.Since(began))
			assert.Check(t, is.Equal(p.messages(), "interrupted\n"))
			checkNothingLeft(t, b.Engine)
			close(release)
		})
	}
}

// An interrupt during the clean-up of a successful command also counts as an interrupt,
// whatever is removed last. Its results have been printed by then.
func TestInterruptDuringCleanUp(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	b.makeContainer(t, "users", "", nil, true)
	for _, test := range []struct {
		last  string
		args  []string
		shown string // before
	}{
		{"nestprobe-ID-1", []string{"run", "--wait", "1s"}, "ADDRESS"},
		{"nestprobe-ID-client-1", inside("--access", "socket"), "ADDRESS"},
		{"nestprobe-ID-client-1", inside("--access", "none"), ""},
		{"nestprobe-ID-from", inside("--from", "users", "--wait", "1s"), "ADDRESS"},
		{"nestprobe-ID", []string{"diagnose", "--from", "network:bridge", "users:8080"}, ""},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			tap, removing, release := holdRemoval(t, b, test.last)
			t.Cleanup(release)
			p := start(t, through(b.nestprobe(t, test.args...), tap))
			p.awaitMoment(t, removing)
			p.stdout.await(t, test.shown)
			plugin := p.plugin(t)
			assert.NilError(t, plugin.Signal(syscall.SIGINT))
			awaitDelivered(t, plugin)
			release()
			assert.Check(t, is.Equal(p.status(t), statusInterrupted))
			assert.Check(t, is.Equal(p.messages(), "interrupted\n"))
			checkNothingLeft(t, b.Engine)
		})
	}
}

// noneWaits matches the lines of signals that a process has not got yet, if there are none.
var noneWaits = regexp.MustCompile(`(?m)^SigPnd:\s0+\nShdPnd:\s0+$`)

// awaitDelivered waits until a process has got its signals: a busy machine takes its time.
func awaitDelivered(t *testing.T, process *os.Process) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		tasks, err := filepath.Glob("/proc/" + itoa(process.Pid) + "/task/*/status")
		if err != nil {
			return poll.Error(err)
		}
		for _, task := range tasks {
			status, err := os.ReadFile(task)
			if err == nil && !noneWaits.Match(status) {
				return poll.Continue("a signal waits: %s", status)
			}
		}
		return poll.Success()
	}, poll.WithDelay(time.Millisecond))
}

// A terminal that is closed ends the run as an interrupt does.
func TestTerminalClosed(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	p := &process{cmd: b.nestprobe(t, b.silent("--network-driver", "bridge")...), ended: make(chan error, 1)}
	p.cmd.SysProcAttr = nil
	terminal, err := pty.Start(p.cmd)
	assert.NilError(t, err)
	p.await(t)
	// Nothing may read from the terminal when it is closed, or it stays open.
	chunk, shown := make([]byte, 256), ""
	for !strings.Contains(shown, "Waiting for an answer") { // a slow machine prints more before
		n, err := terminal.Read(chunk)
		assert.NilError(t, err)
		shown += string(chunk[:n])
	}
	plugin := p.plugin(t)
	assert.NilError(t, terminal.Close())
	p.status(t) // docker's is that of the signal
	awaitEnd(t, plugin)
	checkNothingLeft(t, b.Engine)
}

// An interrupt ends a client that waits, whatever it waits for, and leaves nothing
// behind. The command shows what the client has measured by then.
func TestInterruptClient(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		builtin, three := b.waiting()
		users, one := b.waiting(b.image)
		for name, test := range map[string]struct {
			args    []string
			running int
			shown   []string
		}{
			"built-in": {builtin, three, []string{"\nServer 3:\r\n", "KIND ", "\naccess socket works\r\n"}},
			"user's":   {users, one, []string{"KIND ", "\naccess socket works\r\n"}},
			"relay":    {append(inside("--relay", "--keep"), users[1:]...), one, []string{"\naccess socket works\r\n"}},
		} {
			t.Run(name, func(t *testing.T) {
				p, terminal := startOnTerminal(t, b.nestprobe(t, test.args...))
				b.awaitAllRunning(t, p, test.running)
				p.stdout.await(t, "Waiting for an answer")
				began := time.Now()
				_, err := terminal.WriteString("\x03")
				assert.NilError(t, err)
				assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stdout)
				t.Logf("ended %s after the interrupt", time.Since(began).Round(time.Millisecond))
				assert.Check(t, is.Equal(strings.Count(p.stdout.String(), "interrupted"), 1), "%s", &p.stdout)
				for _, text := range test.shown {
					assert.Check(t, is.Contains(p.stdout.String(), text))
				}
				checkNothingLeft(t, b.Engine)
			})
		}
	})
}

// If a client does not report what it has measured, the command ends all the same.
func TestInterruptClientThatHangs(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	args, running := b.waiting(b.image)
	p := start(t, b.nestprobe(t, args...))
	for _, c := range b.awaitAllRunning(t, p, running) {
		if isClient(c) {
			assert.NilError(t, b.api.ContainerPause(t.Context(), c.ID))
		}
	}
	began := time.Now()
	p.signal(t, syscall.SIGTERM)
	assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stderr)
	t.Logf("ended %s after the interrupt", time.Since(began).Round(time.Millisecond))
	assert.Check(t, is.Equal(p.messages(), "interrupted\n"))
	checkNothingLeft(t, b.Engine)
}
