package keep

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a daemon to run among an engine's processes.
type process struct {
	name string // what it is called in commands and messages
	argv []string
	env  []string
	log  string // file for both outputs
	both bool   // it is two processes, and the second does not always end with the first
}

// initRequest is one line of JSON from the keeper to an engine's first process.
type initRequest struct {
	Op    string // "start", "run", "stop", "state", "sysctl", "dns" or "unpack"
	Name  string
	Argv  []string
	Env   []string
	Log   string
	Both  bool
	Addr  string                // for "dns"
	Names map[string]netip.Addr // for "dns"
	Roots []string              // for "unpack"
	Value string                // for "sysctl"
}

// initReply is the answer to it.
type initReply struct {
	Error  string
	Exited bool
	State  string
}

// runInit is the main function of the first process of an engine's namespaces.
// It starts and stops daemons as the keeper says and returns when the keeper
// closes the pipe or dies, upon which the kernel kills all that is left in the
// namespaces (pid_namespaces(7)).
func runInit(in io.Reader, out io.Writer) error {
	// The machine's network namespace: for the forwarder, not for daemons.
	unix.CloseOnExec(machineNetnsFD)
	if err := privateMounts(); err != nil {
		return err
	}
	reaper := newReaper()
	defer reaper.close()
	var resolver io.Closer
	defer func() {
		if resolver != nil {
			_ = resolver.Close()
		}
	}()
	decoder, encoder := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var request initRequest
		if err := decoder.Decode(&request); err != nil {
			return nil // the end of the pipe is the order to end
		}
		var reply initReply
		var err error
		switch request.Op {
		case "start":
			err = reaper.start(request)
		case "run":
			err = reaper.run(request)
		case "stop":
			err = reaper.stop(request.Name)
		case "state":
			reply.Exited, reply.State = reaper.state(request.Name)
		case "dns":
			resolver, err = serveNames(request.Addr, request.Names)
		case "sysctl":
			err = os.WriteFile(filepath.Join("/proc/sys/net", request.Name), []byte(request.Value), 0o600)
		case "unpack":
			err = showPackages(request.Roots)
		default:
			err = fmt.Errorf("unknown operation %q", request.Op)
		}
		if err != nil {
			reply.Error = err.Error()
		}
		if err := encoder.Encode(reply); err != nil {
			return err
		}
	}
}

// privateMounts gives the engine its own view of what daemons share by path:
// /proc for the new process namespace, and empty /run and /dev/shm, where
// engines keep sockets, locks and namespaces. /sys stays the machine's, because
// remounting it would take the cgroups away. What the machine mounts later is
// seen inside, never the reverse.
func privateMounts() error {
	resolv, _ := filepath.EvalSymlinks("/etc/resolv.conf")
	mounts := []struct {
		source, target, fstype string
		flags                  uintptr
		data                   string
	}{
		{"", "/", "", unix.MS_SLAVE | unix.MS_REC, ""},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
		{"tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	}
	for _, m := range mounts {
		if err := unix.Mount(m.source, m.target, m.fstype, m.flags, m.data); err != nil {
			return fmt.Errorf("mounting %s: %w", m.target, err)
		}
	}
	if !strings.HasPrefix(resolv, "/run/") {
		return nil
	}
	// Daemons read /etc/resolv.conf, which here leads into the hidden /run.
	if err := os.MkdirAll(filepath.Dir(resolv), 0o755); err != nil { //nolint:gosec // as on the machine
		return fmt.Errorf("making resolv.conf: %w", err)
	}
	if err := os.WriteFile(resolv, nil, 0o644); err != nil { //nolint:gosec // as on the machine
		return fmt.Errorf("making resolv.conf: %w", err)
	}
	return nil
}

// showPackages lays the files of unpacked packages over the machine's, as if
// they were installed. Programs then find their libraries and one another with
// no help from the environment, which does not reach all of them: Podman starts
// itself anew, without LD_LIBRARY_PATH, when a container ends.
func showPackages(roots []string) error {
	layers := "lowerdir="
	for _, root := range roots {
		layers += filepath.Join(root, "usr") + ":"
	}
	layers += "/usr"
	if err := unix.Mount("overlay", "/usr", "overlay", unix.MS_RDONLY, layers); err != nil {
		return fmt.Errorf("laying packages over /usr: %w", err)
	}
	return nil
}

// reaper starts daemons and, as the first process must, waits for every process
// that loses its parent.
type reaper struct {
	signals chan os.Signal
	done    chan struct{}

	mu    sync.Mutex
	names map[string]*daemon
	pids  map[int]*daemon
}

type daemon struct {
	pid    int
	both   bool          // signals are for its whole process group
	exited chan struct{} // closed when it ended
	status syscall.WaitStatus
}

func newReaper() *reaper {
	r := &reaper{
		signals: make(chan os.Signal, 1),
		done:    make(chan struct{}),
		names:   map[string]*daemon{},
		pids:    map[int]*daemon{},
	}
	signal.Notify(r.signals, syscall.SIGCHLD)
	go r.loop() // ended and awaited by close
	return r
}

func (r *reaper) close() {
	signal.Stop(r.signals)
	close(r.signals)
	<-r.done
}

func (r *reaper) loop() {
	defer close(r.done)
	for range r.signals {
		for r.reapOne() {
		}
	}
}

func (r *reaper) reapOne() bool {
	// The lock spans fork and bookkeeping in start, so a process that ends
	// immediately is known by the time it is looked up.
	r.mu.Lock()
	defer r.mu.Unlock()
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
	if errors.Is(err, syscall.EINTR) {
		return true
	}
	if err != nil || pid <= 0 {
		return false
	}
	if d, ok := r.pids[pid]; ok {
		delete(r.pids, pid)
		d.status = status
		close(d.exited)
	}
	return true
}

func (r *reaper) start(request initRequest) error {
	log, err := os.OpenFile(request.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log of %s: %w", request.Name, err)
	}
	defer log.Close() //nolint:errcheck // the daemon has its own copy
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close() //nolint:errcheck // the daemon has its own copy
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := syscall.ForkExec(request.Argv[0], request.Argv, &syscall.ProcAttr{ //nolint:gosec // the keeper's own command
		Env:   request.Env,
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("starting %s: %w", request.Name, err)
	}
	d := &daemon{pid: pid, both: request.Both, exited: make(chan struct{})}
	r.names[request.Name], r.pids[pid] = d, d
	return nil
}

// runWait bounds a command that ends without a signal.
const runWait = 30 * time.Second

// run runs a command to its end.
func (r *reaper) run(request initRequest) error {
	if err := r.start(request); err != nil {
		return err
	}
	r.mu.Lock()
	d := r.names[request.Name]
	r.mu.Unlock()
	select {
	case <-d.exited:
	case <-time.After(runWait):
		return fmt.Errorf("%s does not end", request.Name)
	}
	if d.status.ExitStatus() != 0 {
		_, state := r.state(request.Name)
		return fmt.Errorf("%s: %s\n%s", strings.Join(request.Argv, " "), state, Tail(request.Log))
	}
	return nil
}

// stopWait is how long a daemon may take to end after a signal; dockerd gives its
// containers 10 s each, in parallel.
const stopWait = 30 * time.Second

func (r *reaper) stop(name string) error {
	r.mu.Lock()
	d, ok := r.names[name]
	r.mu.Unlock()
	if !ok {
		return fmt.Errorf("there is no process %q", name)
	}
	// If the process has ended meanwhile, the signal fails with ESRCH: its number
	// cannot have been given to another process yet.
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-d.exited:
			return nil
		default:
		}
		if err := d.signal(sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stopping %s: %w", name, err)
		}
		select {
		case <-d.exited:
			return nil
		case <-time.After(stopWait):
		}
	}
	return fmt.Errorf("%s does not end, killed or not", name)
}

func (d *daemon) signal(sig syscall.Signal) error {
	if d.both {
		return syscall.Kill(-d.pid, sig)
	}
	return syscall.Kill(d.pid, sig)
}

func (r *reaper) state(name string) (exited bool, state string) {
	r.mu.Lock()
	d, ok := r.names[name]
	r.mu.Unlock()
	if !ok {
		return true, "never started"
	}
	select {
	case <-d.exited:
	default:
		return false, "running"
	}
	if d.status.Signaled() {
		return true, "killed by " + d.status.Signal().String()
	}
	return true, fmt.Sprintf("exit status %d", d.status.ExitStatus())
}
