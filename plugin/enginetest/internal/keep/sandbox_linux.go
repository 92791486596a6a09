package keep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// sandbox is the keeper's side of an engine's namespaces: it gives orders to
// the first process in them.
type sandbox struct {
	cmd *exec.Cmd

	mu     sync.Mutex // one order at a time
	orders io.WriteCloser
	enc    *json.Encoder
	dec    *json.Decoder
}

// machineNetnsFD is where the first process of an engine's namespaces has the
// machine's network namespace open.
const machineNetnsFD = 3

// newSandbox makes the namespaces of an engine, which last until close. With
// network, the new network namespace has a loopback interface that is up, and
// nothing else.
func newSandbox(dir string, network bool) (*sandbox, error) {
	if err := CheckRoot(); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, "init.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // in the keeper's folder
	if err != nil {
		return nil, fmt.Errorf("opening the engine's log: %w", err)
	}
	defer log.Close() //nolint:errcheck // the process has its own copy
	// No context: it ends with its pipe, whatever happens to the keeper.
	cmd := exec.Command("/proc/self/exe") //nolint:noctx // see above
	cmd.Env = append(os.Environ(), roleVariable+"="+roleInit)
	cmd.Dir = "/"
	cmd.Stderr = log
	machine, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("finding the machine's network: %w", err)
	}
	defer machine.Close() //nolint:errcheck // the process has its own copy
	cmd.ExtraFiles = []*os.File{machine}
	flags := uintptr(syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS)
	if network {
		flags |= syscall.CLONE_NEWNET
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: flags}
	orders, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("making namespaces: %w", err)
	}
	box := &sandbox{cmd: cmd, orders: orders, enc: json.NewEncoder(orders), dec: json.NewDecoder(answers)}
	if err := os.WriteFile(filepath.Join(dir, initPIDFile), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		return nil, errors.Join(err, box.close())
	}
	return box, nil
}

// netns is the path of the network namespace, for nsenter and the like.
func (b *sandbox) netns() string { return fmt.Sprintf("/proc/%d/ns/net", b.cmd.Process.Pid) }

// close ends everything in the namespaces and returns when it has ended.
func (b *sandbox) close() error {
	_ = b.orders.Close()
	_ = b.cmd.Process.Kill() // without delay, even if it is busy with an order
	var exit *exec.ExitError
	if err := b.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("ending the engine's namespaces: %w", err)
	}
	return nil
}

func (b *sandbox) start(ctx context.Context, p process) error {
	_, err := b.order(ctx, initRequest{Op: "start", Name: p.name, Argv: p.argv, Env: p.env, Log: p.log, Both: p.both})
	return err
}

// run runs a program of the engine's namespaces to its end.
func (r *running) run(ctx context.Context, program string, args ...string) error {
	path, err := r.program(program)
	if err != nil {
		return err
	}
	_, err = r.box.order(ctx, initRequest{
		Op:   "run",
		Name: program,
		Argv: append([]string{path}, args...),
		Env:  []string{"PATH=" + r.searchPath()},
		Log:  r.path(program + ".log"),
	})
	return err
}

// script runs a shell script among the engine's processes, in the engine's
// folder. Only these processes see its mounts.
func (r *running) script(ctx context.Context, text string) error {
	return r.run(ctx, "sh", "-ec", "cd "+r.Dir+"\n"+text)
}

// sysctl sets one of the settings below /proc/sys/net of the engine's network
// namespace.
func (r *running) sysctl(ctx context.Context, name, value string) error {
	if _, err := r.box.order(ctx, initRequest{Op: "sysctl", Name: name, Value: value}); err != nil {
		return fmt.Errorf("setting %s to %s: %w", name, value, err)
	}
	return nil
}

func (b *sandbox) stop(ctx context.Context, name string) error {
	_, err := b.order(ctx, initRequest{Op: "stop", Name: name})
	return err
}

// exited says whether a process ended, and how. An engine whose first process
// is gone has no processes.
func (b *sandbox) exited(ctx context.Context, name string) (state string, exited bool) {
	reply, err := b.order(ctx, initRequest{Op: "state", Name: name})
	if err != nil {
		return err.Error(), true
	}
	return reply.State, reply.Exited
}

func (b *sandbox) order(_ context.Context, request initRequest) (initReply, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.enc.Encode(request); err != nil {
		return initReply{}, fmt.Errorf("reaching the engine's first process: %w", err)
	}
	var reply initReply
	if err := b.dec.Decode(&reply); err != nil {
		return initReply{}, fmt.Errorf("reaching the engine's first process: %w", err)
	}
	if reply.Error != "" {
		return reply, errors.New(reply.Error)
	}
	return reply, nil
}

const initPIDFile = "init.pid"

// leftoverWait bounds the wait for a killed keeper's engines, which end when its
// pipes close.
const leftoverWait = 10 * time.Second

// awaitOldInit waits until the first process that a folder of a killed keeper
// names is gone, and kills it if it stays. Only a process that carries the role
// variable is taken for one: process ids are reused.
func awaitOldInit(ctx context.Context, dir string) {
	data, err := os.ReadFile(filepath.Join(dir, initPIDFile)) //nolint:gosec // in the keeper's folder
	if err != nil {
		return
	}
	pid, err := strconv.Atoi(string(data))
	if err != nil {
		return
	}
	deadline := time.Now().Add(leftoverWait)
	for isOldInit(pid) && ctx.Err() == nil {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(readyPoll)
	}
}

func isOldInit(pid int) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && strings.Contains(string(environ), roleVariable+"="+roleInit)
}
