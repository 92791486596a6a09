//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// trial is one command and what is done to it.
type trial struct {
	args  []string
	what  string                                             // is done, for a note
	bound time.Duration                                      // within which the command ends, once it is attacked
	after time.Duration                                      // from its start to the attack; 0 for a command that only meets something bad
	hit   func(p *os.Process, f *front, end <-chan struct{}) // attacks it; nil for none
	rule  *rule                                              // what the engine does wrong until the command has ended; nil for nothing
	codes []int                                              // the exit statuses that are right; nil for any
	full  bool                                               // stdout is a full disk
}

// outcome is what became of a trial.
type outcome struct {
	trial                 trial
	left                  int // containers and networks
	hung, crashed, unsafe bool
	made                  int           // runs that made something
	wrong                 bool          // it ended with another exit status than is right
	memory                int64         // KiB
	took                  time.Duration // from the attack to the end
	status                string
	stderr                string // its first bytes
}

func (o outcome) isBad() bool {
	return o.left > 0 || o.hung || o.crashed || o.unsafe || o.wrong || o.memory > maxMemory
}

func (o outcome) String() string {
	return fmt.Sprintf("%s; %s, after %s: left %d, hung %t, crashed %t, raw controls %t, %d MB, %s, took %s; stderr: %q",
		strings.Join(o.trial.args, " "), o.trial.what, o.trial.after.Round(time.Millisecond), o.left, o.hung, o.crashed, o.unsafe, o.memory>>10, o.status, o.took.Round(time.Millisecond), o.stderr)
}

const (
	// settleLimit is when nothing may be left, from the end of the command. What is left is
	// counted then and not before: the engine may still make what a killed command has requested,
	// and until then it has nothing to count.
	settleLimit = 15 * time.Second
	// memoryLimit bounds the address space of a command, in KiB, so that an attack cannot take
	// the machine with it. Go reserves more than it uses.
	memoryLimit = 4 << 20
)

// try makes one trial, and calls ended when the command has ended. The engine stays reachable for
// the command's reaper until what is left has been counted. The errors are those of the range,
// not of the command.
func (r *firingRange) try(ctx context.Context, t trial, ended func()) (outcome, error) {
	defer ended()
	folder, err := os.MkdirTemp(r.folder, "")
	if err != nil {
		return outcome{}, err
	}
	f, err := startFront(filepath.Join(folder, "s"), r.socket, t.rule)
	if err != nil {
		return outcome{}, err
	}
	defer f.close()
	o, err := r.execute(ctx, t, f, folder)
	if err != nil {
		return o, err
	}
	f.heal()
	ended()
	engine.Pause(ctx, r.settle)
	runs := f.runs()
	o.made = len(runs)
	o.left, err = r.removeLeft(ctx, runs)
	return o, err
}

// execute runs the command and attacks it.
func (r *firingRange) execute(ctx context.Context, t trial, f *front, folder string) (outcome, error) {
	args := append([]string{"-c", fmt.Sprintf(`ulimit -v %d; exec "$@"`, memoryLimit), "sh", r.plugin}, t.args...)
	cmd := exec.CommandContext(ctx, "/bin/sh", args...) //nolint:gosec // the commands are this program's own
	cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+f.path, "DOCKER_CONFIG="+folder, "DOCKER_CONTEXT=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stdout, stderr bounded
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if t.full {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			return outcome{}, err
		}
		defer full.Close() //nolint:errcheck // nothing was written
		cmd.Stdout = full
	}
	if err := cmd.Start(); err != nil {
		return outcome{}, err
	}
	ended := make(chan struct{})
	began := time.Now()
	var attacking sync.WaitGroup
	var peak int64
	attacking.Go(func() {
		if t.hit == nil || !isPending(ended, t.after) {
			return
		}
		began = time.Now()
		t.hit(cmd.Process, f, ended)
	})
	attacking.Go(func() { peak = peakMemory(cmd.Process.Pid, ended) })
	killed := make(chan bool, 1)
	attacking.Go(func() {
		hung := isPending(ended, t.after+2*t.bound)
		if hung {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		killed <- hung
	})
	err := cmd.Wait()
	close(ended)
	attacking.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return outcome{}, err
	}
	o := outcome{trial: t, hung: <-killed, memory: peak, took: time.Since(began), status: cmd.ProcessState.String(), stderr: stderr.String()}
	o.crashed = crash.MatchString(o.stderr) || isFatal(cmd.ProcessState)
	o.wrong = !o.hung && t.codes != nil && !slices.Contains(t.codes, cmd.ProcessState.ExitCode())
	o.unsafe = rawControl.Match(stdout.data.Bytes()) || rawControl.Match(stderr.data.Bytes())
	if len(o.stderr) > 300 {
		o.stderr = o.stderr[:300]
	}
	return o, nil
}

// peakMemory is the most memory that a process has had, in KiB. It is read until the process
// ends, since the kernel's account of a process that has ended includes the one that started
// it.
func peakMemory(pid int, ended <-chan struct{}) (peak int64) {
	for {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err == nil {
			if found := highWater.FindSubmatch(status); found != nil {
				now, _ := strconv.ParseInt(string(found[1]), 10, 64)
				peak = max(peak, now)
			}
		}
		if !isPending(ended, 20*time.Millisecond) {
			return peak
		}
	}
}

var highWater = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// isPending waits, and says whether the command has not ended by then.
func isPending(ended <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ended:
		return false
	}
}

// crash is how a Go program reports that it crashed.
var crash = regexp.MustCompile(`(?m)^(panic: |fatal error: |goroutine \d+ \[)`)

// isFatal says whether a signal ended the process that no attack sends.
func isFatal(state *os.ProcessState) bool {
	how, ok := state.Sys().(syscall.WaitStatus)
	return ok && how.Signaled() && how.Signal() != syscall.SIGKILL && how.Signal() != syscall.SIGINT
}

// rawControl is a control character that a terminal would obey.
var rawControl = regexp.MustCompile("[\x00-\x08\x0b-\x1f\x7f]|\u202e|\u2066|\u200b|\u009b")

// bounded keeps the beginning of what is written to it.
type bounded struct{ data bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := 1<<20 - b.data.Len(); room > 0 {
		b.data.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (b *bounded) String() string { return b.data.String() }

// removeLeft returns how much of the runs is on the engine, and removes it.
func (r *firingRange) removeLeft(ctx context.Context, runs []string) (left int, err error) {
	for _, run := range runs {
		n, err := r.countOf(ctx, run)
		if err != nil {
			return left, err
		}
		if left += n; n == 0 {
			continue
		}
		if _, err := engine.RemoveRun(ctx, engine.Engine{API: r.engine}, run); err != nil {
			return left, err
		}
	}
	return left, nil
}

func (r *firingRange) countOf(ctx context.Context, run string) (int, error) {
	ours := filters.NewArgs(filters.Arg("label", engine.LabelRun+"="+run))
	containers, err := r.engine.ContainerList(ctx, container.ListOptions{All: true, Filters: ours})
	if err != nil {
		return 0, err
	}
	networks, err := r.engine.NetworkList(ctx, network.ListOptions{Filters: ours})
	return len(containers) + len(networks), err
}
