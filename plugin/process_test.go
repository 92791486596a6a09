//go:build linux

package plugin_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

// process is a running command.
type process struct {
	cmd    *exec.Cmd
	stdout output
	stderr output
	ended  chan error
}

// start starts a command. Its end is also that of processes which it has started and
// left running, as long as they hold the output.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	assert.NilError(t, cmd.Start())
	p.await(t)
	return p
}

// startOnTerminal starts a command on a new terminal, and returns the terminal.
func startOnTerminal(t *testing.T, cmd *exec.Cmd) (*process, *os.File) {
	t.Helper()
	cmd.SysProcAttr = nil // it gets a new session, not only a process group
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

// startWriting starts a command that writes its output to a file.
func startWriting(t *testing.T, cmd *exec.Cmd, file *os.File) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = file, &p.stderr
	assert.NilError(t, cmd.Start())
	assert.NilError(t, file.Close())
	p.await(t)
	return p
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

// slowCall matches what a command says while it waits for a slow engine. Whether it does
// depends on how busy the machine is.
var slowCall = regexp.MustCompile(`(?m)^waiting for the engine's answer to .*\n`)

// messages is what the process has written on stderr, without the lines on slow calls.
func (p *process) messages() string { return slowCall.ReplaceAllString(p.stderr.String(), "") }

// signal sends a signal to the process, or to its group.
func (p *process) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	assert.NilError(t, syscall.Kill(p.cmd.Process.Pid, signal))
}

func (p *process) signalGroup(t *testing.T, signal syscall.Signal) {
	t.Helper()
	assert.NilError(t, syscall.Kill(-p.cmd.Process.Pid, signal))
}

// status waits for the end of the process and returns its exit status as a shell does:
// after a signal, it is 128 plus the signal's number.
func (p *process) status(t *testing.T) int {
	t.Helper()
	select {
	case err := <-p.ended:
		if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
			t.Fatalf("%v: %v", p.cmd.Args, err)
		}
		if how := p.cmd.ProcessState.Sys().(syscall.WaitStatus); how.Signaled() {
			return 128 + int(how.Signal())
		}
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(hangs):
		t.Fatalf("%v does not end; its output:\n%s%s", p.cmd.Args, &p.stdout, &p.stderr)
		return 0
	}
}

// awaitMoment waits for a moment of the process's work.
func (p *process) awaitMoment(t *testing.T, moment <-chan struct{}) {
	t.Helper()
	select {
	case <-moment:
	case <-time.After(hangs):
		t.Fatalf("%v does not get so far; its output:\n%s%s", p.cmd.Args, &p.stdout, &p.stderr)
	}
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

// awaitEnd waits for a process that is not a child of this one.
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
	assert.Equal(t, n, 1, "the plugin still runs")
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
