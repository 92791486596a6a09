//go:build linux

package plugin_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
)

// hangs bounds waits that end long before, unless something hangs.
const hangs = 2 * time.Minute

// statusInterrupted is 128 + SIGINT.
const statusInterrupted = 130

// privateKinds are the kinds that can be had privately: what these tests make
// looks like leftovers to commands that other tests run on a shared engine.
func privateKinds() []enginetest.Kind {
	return []enginetest.Kind{enginetest.Toolbox, enginetest.Engine26_1, enginetest.Engine28_5, enginetest.Podman}
}

// bench is an engine of a test's own with what the test needs on it.
type bench struct {
	*enginetest.Engine
	api    *client.Client
	config string // DOCKER_CONFIG, with the plugin
	image  string // of a server of the user's
}

func newBench(t *testing.T, kind enginetest.Kind) *bench {
	t.Helper()
	engine := enginetest.StartPrivate(t, kind)
	config := t.TempDir()
	assert.NilError(t, installPlugin(config))
	return &bench{Engine: engine, api: engine.Client(t), config: config, image: enginetest.TestImage(t, engine)}
}

// silent are the arguments of a run whose server never listens, so that it
// waits for an answer until something else happens.
func (b *bench) silent(flags ...string) []string {
	args := append([]string{"run", "--wait", "10m"}, flags...)
	return append(args, b.image, "--listen", "none")
}

// nestprobe is the command `docker nestprobe`, in a process group of its own.
func (b *bench) nestprobe(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := b.Command(t.Context(), "docker", append([]string{"nestprobe"}, args...)...)
	cmd.Env = append(cmd.Env, "DOCKER_CONFIG="+b.config, "HOME="+b.config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// through leads a command to the engine by way of a tap.
func through(cmd *exec.Cmd, tap *tap) *exec.Cmd {
	cmd.Env = append(cmd.Env, "DOCKER_HOST="+tap.Host, "DOCKER_TLS_VERIFY=", "DOCKER_CERT_PATH=")
	return cmd
}

// process is a command under way.
type process struct {
	cmd    *exec.Cmd
	stdout output
	stderr output
	ended  chan error
}

// start starts a command. What it started in turn and left running at its end
// is waited for too, as long as it holds the output.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	assert.NilError(t, cmd.Start())
	p.await(t)
	return p
}

// startOnTerminal starts a command on a terminal of its own, and returns that.
func startOnTerminal(t *testing.T, cmd *exec.Cmd) (*process, *os.File) {
	t.Helper()
	cmd.SysProcAttr = nil // a session, not only a process group
	p := &process{cmd: cmd, ended: make(chan error, 1)}
	terminal, err := pty.Start(cmd)
	assert.NilError(t, err)
	read := make(chan struct{})
	go func() { // ends with the last process on the terminal
		defer close(read)
		_, _ = io.Copy(&p.stdout, terminal) // with EIO
	}()
	p.await(t, read)
	t.Cleanup(func() { _ = terminal.Close() })
	return p, terminal
}

func (p *process) await(t *testing.T, outputs ...<-chan struct{}) {
	t.Helper()
	finished := make(chan struct{})
	go func() { // ends with the process, which the test's end kills
		defer close(finished)
		err := p.cmd.Wait()
		for _, output := range outputs {
			<-output
		}
		p.ended <- err
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-finished
	})
}

// signal sends a signal to the process, or to its group.
func (p *process) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	assert.NilError(t, syscall.Kill(p.cmd.Process.Pid, signal))
}

func (p *process) signalGroup(t *testing.T, signal syscall.Signal) {
	t.Helper()
	assert.NilError(t, syscall.Kill(-p.cmd.Process.Pid, signal))
}

// status waits for the end of the process and returns its exit status, -1 for
// one that a signal has ended.
func (p *process) status(t *testing.T) int {
	t.Helper()
	select {
	case err := <-p.ended:
		if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
			t.Fatalf("%v: %v", p.cmd.Args, err)
		}
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(hangs):
		t.Fatalf("%v does not end; it said:\n%s%s", p.cmd.Args, &p.stdout, &p.stderr)
		return 0
	}
}

// output is what a process has written so far.
type output struct {
	mu      sync.Mutex
	content bytes.Buffer
	grown   chan struct{} // closed, and replaced, when there is more
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.grown != nil {
		close(o.grown)
		o.grown = nil
	}
	return o.content.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.content.String()
}

// await waits until the output contains a text.
func (o *output) await(t *testing.T, text string) {
	t.Helper()
	limit := time.After(hangs)
	for {
		o.mu.Lock()
		if strings.Contains(o.content.String(), text) {
			o.mu.Unlock()
			return
		}
		if o.grown == nil {
			o.grown = make(chan struct{})
		}
		grown := o.grown
		o.mu.Unlock()
		select {
		case <-grown:
		case <-limit:
			t.Fatalf("no %q in the output:\n%s", text, o)
		}
	}
}

// running waits until a container of nestprobe's runs and returns it.
func (b *bench) running(t *testing.T) container.Summary {
	t.Helper()
	return b.awaitContainers(t, "a running container of nestprobe's", func(all []container.Summary) bool {
		return len(all) > 0 && all[0].State == "running"
	})[0]
}

// gone waits until no container of nestprobe's is left.
func (b *bench) gone(t *testing.T) {
	t.Helper()
	b.awaitContainers(t, "no container of nestprobe's", func(all []container.Summary) bool { return len(all) == 0 })
}

// look is the pause between two looks at an engine's containers. Not every
// engine tells of all that happens in its events.
const look = 20 * time.Millisecond

func (b *bench) awaitContainers(t *testing.T, what string, enough func([]container.Summary) bool) []container.Summary {
	t.Helper()
	limit := time.After(hangs)
	for {
		all, err := b.list(t)
		if err == nil && enough(all) {
			return all
		}
		select {
		case <-time.After(look):
		case <-limit:
			t.Fatalf("waited for %s; there are: %v (%v)", what, all, err)
		}
	}
}

// ours selects what nestprobe has made.
func ours() filters.Args { return filters.NewArgs(filters.Arg("label", experiment.LabelRun)) }

func (b *bench) containers(t *testing.T) []container.Summary {
	t.Helper()
	all, err := b.list(t)
	assert.NilError(t, err)
	return all
}

// list fails on Podman while a container is ending ("read /proc/PID/cgroup: no
// such process", seen with 4.3), so whoever waits for that must look again.
func (b *bench) list(t *testing.T) ([]container.Summary, error) {
	t.Helper()
	return b.api.ContainerList(t.Context(), container.ListOptions{All: true, Filters: ours()})
}

func (b *bench) networks(t *testing.T) []network.Summary {
	t.Helper()
	all, err := b.api.NetworkList(t.Context(), network.ListOptions{Filters: ours()})
	assert.NilError(t, err)
	return all
}

// Ctrl-C on a terminal ends a run that waits for an answer. When the command has
// ended, what it made is gone.
func TestInterruptOnTerminal(t *testing.T) {
	t.Parallel()
	for _, kind := range privateKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, kind)
			p, terminal := startOnTerminal(t, b.nestprobe(t, b.silent("--network-driver", "bridge")...))
			p.stdout.await(t, "Waiting for an answer...")
			assert.Assert(t, is.Len(b.networks(t), 1))
			began := time.Now()
			_, err := terminal.WriteString("\x03")
			assert.NilError(t, err)
			assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stdout)
			assert.Check(t, time.Since(began) < 10*time.Second, "it took %s", time.Since(began))
			assert.Check(t, is.Equal(strings.Count(p.stdout.String(), "interrupted"), 1), "%s", &p.stdout)
			checkNothingLeft(t, b.Engine)
		})
	}
}

// The second Ctrl-C does not wait for the clean-up.
func TestInterruptTwiceOnTerminal(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	removing, release := make(chan struct{}), make(chan struct{})
	tap := startTap(t, b.Engine, func(m moment) {
		if m.is("DELETE /containers/ID", false) {
			removing <- struct{}{}
			<-release
		}
	})
	p, terminal := startOnTerminal(t, through(b.nestprobe(t, b.silent()...), tap))
	p.stdout.await(t, "Waiting for an answer...")
	_, err := terminal.WriteString("\x03")
	assert.NilError(t, err)
	<-removing
	_, err = terminal.WriteString("\x03")
	assert.NilError(t, err)
	assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stdout)
	close(release)
}

// plugin is the process of the plugin that a docker command has started.
func (p *process) plugin(t *testing.T) *os.Process {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ps", "--no-headers", "-o", "pid", "--ppid", itoa(p.cmd.Process.Pid)).Output()
	assert.NilError(t, err)
	found, err := os.FindProcess(atoi(t, strings.TrimSpace(string(out))))
	assert.NilError(t, err)
	return found
}

// Signals off a terminal, to whichever process: the server is gone when the
// command has ended.
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
			b.running(t)
			test.send(t, p)
			assert.Check(t, is.Equal(p.status(t), test.status), "%s", &p.stderr)
			assert.Check(t, is.Equal(strings.Count(p.stderr.String(), "interrupted"), 1), "%s", &p.stderr)
			checkNothingLeft(t, b.Engine)
		})
	}
}

// A request that the engine never answers does not keep a run from ending, be it
// one that is cancelled or one that is not.
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
			asked, release := make(chan struct{}, 100), make(chan struct{})
			tap := startTap(t, b.Engine, func(m moment) {
				if m.is(request, false) {
					asked <- struct{}{}
					<-release
					panic(http.ErrAbortHandler) // the engine never gets to it
				}
			})
			p := start(t, through(b.nestprobe(t, "run", "--network-driver", "bridge"), tap))
			<-asked
			began := time.Now()
			p.signal(t, syscall.SIGTERM)
			assert.Check(t, is.Equal(p.status(t), statusInterrupted), "%s", &p.stderr)
			assert.Check(t, time.Since(began) < 10*time.Second, "it took %s", time.Since(began))
			assert.Check(t, is.Equal(p.stderr.String(), "interrupted\n"))
			checkNothingLeft(t, b.Engine)
			close(release)
		})
	}
}

// An interrupt during the clean-up of a run that went well is one, too.
func TestInterruptDuringCleanUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	removing, release := make(chan struct{}), make(chan struct{})
	tap := startTap(t, b.Engine, func(m moment) {
		if m.is("DELETE /containers/ID", false) {
			removing <- struct{}{}
			<-release
		}
	})
	p := start(t, through(b.nestprobe(t, "run", "--wait", "1s"), tap))
	<-removing
	assert.NilError(t, p.plugin(t).Signal(syscall.SIGINT))
	close(release)
	assert.Check(t, is.Equal(p.status(t), statusInterrupted))
	assert.Check(t, is.Equal(p.stderr.String(), "interrupted\n"))
	checkNothingLeft(t, b.Engine)
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
	// Nothing may be reading when it is closed, or it stays open until then.
	line, err := bufio.NewReader(terminal).ReadString('\n')
	assert.NilError(t, err)
	assert.Equal(t, line, "Waiting for an answer...\r\n")
	plugin := p.plugin(t)
	assert.NilError(t, terminal.Close())
	p.status(t) // docker's own is that of the signal
	awaitEnd(t, plugin)
	checkNothingLeft(t, b.Engine)
}

// awaitEnd waits for a process that is nobody's child here.
func awaitEnd(t *testing.T, process *os.Process) {
	t.Helper()
	fd, err := unix.PidfdOpen(process.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	assert.NilError(t, err)
	defer func() { assert.Check(t, unix.Close(fd)) }()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(hangs.Milliseconds()))
	assert.NilError(t, err)
	assert.Equal(t, n, 1, "the plugin goes on")
}

func itoa(n int) string { return strconv.Itoa(n) }

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	assert.NilError(t, err)
	return n
}
