// Package reaper removes what a command has made on an engine if the command ends before it
// has done so itself: it was killed, it crashed, or it was interrupted twice. A second process
// of the plugin's own program waits for that.
//
// A lease and auto-remove cover only a container that has been started. Nothing on an engine
// removes a container that was created and never started, or a network.
//
// The commands of the package plugin call [Reaper]; the hidden command that the second process
// runs calls [Reap]. The package must not know of endpoints, flags, or what a run consists of.
package reaper

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/cli/cli-plugins/metadata"
	"github.com/docker/cli/cli-plugins/socket"
)

// The lines that the process reads: each run that it has to remove, and that there is
// nothing left to do. It writes one line, when it has removed the runs.
const (
	linePrefix = "run "
	lineDone   = "done"
	lineGone   = "removed"
)

// endLimit bounds the wait for the process. It ends 1 ms after the last line; on a busy
// machine it may still have to begin.
const endLimit = 5 * time.Second

// Reaper is the process that removes what the command leaves. Its methods may be called from
// several goroutines.
type Reaper struct {
	args []string // of the plugin's program

	mu       sync.Mutex
	begun    bool
	finished bool
	process  *process // nil if it could not be started
}

// New returns a reaper that runs this program with the arguments. It starts no process yet.
func New(args ...string) *Reaper { return &Reaper{args: args} }

// Announce starts the process, unless it runs, and sends it the ID of a run. What the run makes
// after Announce has returned is removed if this process ends. A process that cannot be started
// is no error: leases and deadlines then end what is left.
func (r *Reaper) Announce(run string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		r.begun = true
		r.process = start(r.args)
	}
	if r.process != nil && !r.finished {
		_, _ = io.WriteString(r.process.in, linePrefix+run+"\n")
	}
}

// Release ends the process: everything has been removed, or is to stay.
func (r *Reaper) Release() {
	p := r.finish()
	if p == nil {
		return
	}
	_, _ = io.WriteString(p.in, lineDone+"\n")
	_ = p.in.Close()
	if !isClosedWithin(p.ended, endLimit) {
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// Abandon leaves the removal to the process, which goes on after this one has ended. It returns
// when the process has removed everything, and after limit at the latest.
func (r *Reaper) Abandon(limit time.Duration) {
	if p := r.finish(); p != nil {
		_ = p.in.Close()
		isClosedWithin(p.removed, limit)
	}
}

// finish returns the process, to the first caller.
func (r *Reaper) finish() *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished {
		return nil
	}
	r.finished = true
	return r.process
}

func isClosedWithin(c <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-c:
		return true
	case <-timer.C:
		return false
	}
}

// process is the running process.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	removed chan struct{} // closed when the runs have been removed, or the process has ended
	ended   chan struct{}
}

// start returns nil if the process cannot be started.
func start(args []string) *process {
	program, err := os.Executable()
	if err != nil {
		return nil
	}
	p := &process{cmd: exec.Command(program, args...), removed: make(chan struct{}), ended: make(chan struct{})} //nolint:gosec,noctx // the program itself, which lasts longer than any context of this process
	p.cmd.Env = environment(os.Environ())
	p.cmd.SysProcAttr = detached()
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil
	}
	if p.cmd.Start() != nil {
		return nil
	}
	go func() { // ends with the process, which ends within bounds when its stdin has ended
		defer close(p.ended)
		_, _ = bufio.NewReader(out).ReadString('\n')
		close(p.removed)
		_ = p.cmd.Wait()
	}()
	return p
}

// environment returns the environment of the process. It runs as a plugin, but not as long as
// docker: docker would end it by closing the socket.
func environment(own []string) []string {
	env := slices.DeleteFunc(slices.Clone(own), func(v string) bool { return strings.HasPrefix(v, socket.EnvKey+"=") })
	if os.Getenv(metadata.ReexecEnvvar) == "" {
		env = append(env, metadata.ReexecEnvvar+"=docker")
	}
	return env
}
