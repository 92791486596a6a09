package enginetest_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/keep"
)

// crashVariable makes a run of this test binary one that another test kills: it
// starts engines, prints where they are, and waits for its end.
const crashVariable = "NESTPROBE_ENGINETEST_CRASH"

// crashingKinds are one for each set-up: with a link, with programs outside of the
// engine's network namespace, with two daemons, as another user, in a container, and
// with other daemons than Docker's.
var crashingKinds = []enginetest.Kind{
	enginetest.Podman, enginetest.Toolbox, enginetest.Rootless, enginetest.Desktop, enginetest.SSH, enginetest.Dind,
}

// TestCrashing tests nothing: TestEnginesEndWithTestBinary runs and kills it.
func TestCrashing(t *testing.T) {
	kinds := os.Getenv(crashVariable)
	if kinds == "" {
		t.Skip("it is run by TestEnginesEndWithTestBinary")
	}
	for kind := range strings.SplitSeq(kinds, ",") {
		engine := enginetest.StartPrivate(t, enginetest.Kind(kind))
		server := startServer(t, engine, enginetest.TestImage(t, engine))
		fmt.Println("engine", engine.LogDir, server.id, kind)
	}
	panicSignal := make(chan os.Signal, 1)
	signal.Notify(panicSignal, syscall.SIGUSR1)
	fmt.Println("ready")
	<-panicSignal
	panic("as a test does")
}

// endings end a test binary in ways that leave it no time to clean up.
var endings = map[string]func(*os.Process) error{
	"SIGKILL": func(p *os.Process) error { return p.Kill() },
	"SIGINT":  func(p *os.Process) error { return p.Signal(os.Interrupt) },
	"SIGTERM": func(p *os.Process) error { return p.Signal(syscall.SIGTERM) },
	"panic":   func(p *os.Process) error { return p.Signal(syscall.SIGUSR1) },
}

// A test binary that is killed, interrupted or panics leaves no process, mount,
// link, cgroup or folder of its engines. Those of other test binaries stay up.
func TestEnginesEndWithTestBinary(t *testing.T) {
	t.Parallel()
	other := enginetest.Get(t, enginetest.Engine28_5)
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
			kinds := crashingKinds[:2]
			if name == "SIGKILL" { // the others make no difference to the engines
				kinds = crashingKinds
			}
			engines := startCrashing(t, cmd, kinds)
			assert.NilError(t, end(cmd.Process))
			assert.Assert(t, cmd.Wait() != nil, "it ended as if nothing had happened")
			for _, engine := range engines {
				awaitNone(t, func() []string { return traces(t, engine) })
			}
			_, err := other.Client(t).Ping(t.Context())
			assert.NilError(t, err, "the engines of other test binaries ended too")
		})
	}
}

// With its last connection the keeper ends, and removes its folder and the route over
// its engines' addresses. If the keeper is killed, its engines end immediately, and
// the next keeper removes the rest. This test has another keeper than all others, so
// it has a separate network namespace.
func TestKeeperEnds(t *testing.T) {
	t.Parallel()
	enginetest.NeedRoot(t)
	if testing.Short() {
		t.Skip("-short leaves out tests with real engines")
	}
	program, err := os.Executable()
	assert.NilError(t, err)
	network := newNetwork(t)
	variable := keep.NameVariable + "=-" + strconv.Itoa(os.Getpid())
	run := func() (*exec.Cmd, []crashed) {
		cmd := exec.CommandContext(t.Context(), "nsenter", "--net="+network+"/ns/net", program)
		cmd.Env = append(os.Environ(), variable)
		engines := startCrashing(t, cmd, crashingKinds[:3])
		assert.Assert(t, guarded(t, network), "no guard route")
		return cmd, engines
	}

	_, orphans := run()
	keeper := filepath.Dir(orphans[0].dir)
	killKeeper(t, keeper)
	for _, engine := range orphans {
		awaitNone(t, func() []string { return processes(t, engine.dir) })
	}
	assert.Assert(t, guarded(t, network), "this test no longer shows which keeper removes the route")

	cmd, engines := run()
	assert.NilError(t, cmd.Process.Kill())
	awaitNone(t, func() []string {
		left, err := filepath.Glob(keeper)
		assert.NilError(t, err)
		for _, engine := range append(orphans, engines...) {
			left = append(left, traces(t, engine)...)
		}
		if guarded(t, network) {
			left = append(left, "the guard route")
		}
		return left
	})
}

// The route over all engines' addresses is there while one is up.
func TestGuardRoute(t *testing.T) {
	t.Parallel()
	enginetest.Get(t, enginetest.Engine26_1)
	assert.Assert(t, guarded(t, "/proc/self"), "no guard route")
}

// crashed is an engine that is to end with its test binary.
type crashed struct {
	dir       string // the engine's folder
	container string // id of a container that runs on it
	kind      enginetest.Kind
}

// startCrashing runs TestCrashing by a command that ends in this test's program,
// and returns its engines, of these kinds, once they are up.
func startCrashing(t *testing.T, cmd *exec.Cmd, kinds []enginetest.Kind) []crashed {
	t.Helper()
	cmd.Args = append(cmd.Args, "-test.run=^TestCrashing$", "-test.v")
	cmd.Env = append(cmd.Environ(), crashVariable+"="+joinKinds(kinds))
	out, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() })
	var engines []crashed
	var seen []string
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
		seen = append(seen, lines.Text())
		if fields := strings.Fields(lines.Text()); len(fields) == 4 && fields[0] == "engine" {
			engines = append(engines, crashed{dir: fields[1], container: fields[2], kind: enginetest.Kind(fields[3])})
		}
	}
	assert.Equal(t, len(engines), len(kinds), "the engines did not start: %s", strings.Join(seen, "\n"))
	for _, engine := range engines {
		assert.Assert(t, len(processes(t, engine.dir)) > 0, "this test looks for the wrong processes")
		// An ordinary user without systemd has no cgroups to give.
		assert.Assert(t, len(cgroups(t, engine)) > 0 || engine.kind == enginetest.Rootless, "this test looks for the wrong cgroups")
	}
	return engines
}

func joinKinds(kinds []enginetest.Kind) string {
	names := make([]string, len(kinds))
	for i, kind := range kinds {
		names[i] = string(kind)
	}
	return strings.Join(names, ",")
}

// newNetwork makes a network namespace that lasts as long as the test, and
// returns the /proc folder of a process in it.
func newNetwork(t *testing.T) string {
	t.Helper()
	holder := exec.CommandContext(t.Context(), "unshare", "--net", "cat")
	in, err := holder.StdinPipe()
	assert.NilError(t, err)
	out, err := holder.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, holder.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = holder.Wait()
	})
	// Once it echoes, it is in its namespace.
	_, err = in.Write([]byte{'\n'})
	assert.NilError(t, err)
	_, err = out.Read(make([]byte, 1))
	assert.NilError(t, err)
	proc := "/proc/" + strconv.Itoa(holder.Process.Pid)
	setLoopbackUp(t, proc+"/ns/net")
	return proc
}

func setLoopbackUp(t *testing.T, network string) {
	t.Helper()
	namespace, err := netns.GetFromPath(network)
	assert.NilError(t, err)
	defer namespace.Close() //nolint:errcheck // a descriptor
	handle, err := netlink.NewHandleAt(namespace)
	assert.NilError(t, err)
	defer handle.Close()
	lo, err := handle.LinkByName("lo")
	assert.NilError(t, err)
	assert.NilError(t, handle.LinkSetUp(lo))
}

func killKeeper(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "keeper.pid"))
	assert.NilError(t, err)
	pid, err := strconv.Atoi(string(text))
	assert.NilError(t, err)
	assert.NilError(t, syscall.Kill(pid, syscall.SIGKILL))
}

// guarded says whether the guard route is in a network namespace.
func guarded(t *testing.T, proc string) bool {
	t.Helper()
	routes, err := os.ReadFile(proc + "/net/route")
	assert.NilError(t, err)
	// 10.231.0.0 in the kernel's notation, on no interface, flags up and reject.
	return strings.Contains(string(routes), "*\t0000E70A\t00000000\t0201")
}

func awaitNone(t *testing.T, left func() []string) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if found := left(); len(found) > 0 {
			return poll.Continue("still there: %s", strings.Join(found, "\n"))
		}
		return poll.Success()
	}, poll.WithTimeout(time.Minute))
}

// traces lists what there is of an engine.
func traces(t *testing.T, engine crashed) []string {
	t.Helper()
	found := append(processes(t, engine.dir), cgroups(t, engine)...)
	for _, pattern := range []string{
		engine.dir,
		"/sys/class/net/np-" + strings.TrimPrefix(filepath.Base(engine.dir), "private-"),
	} {
		paths, err := filepath.Glob(pattern)
		assert.NilError(t, err)
		found = append(found, paths...)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	assert.NilError(t, err)
	if strings.Contains(string(mounts), engine.dir+"/") {
		found = append(found, "mounts in "+engine.dir)
	}
	return found
}

// cgroups lists those of an engine and of its container, wherever the engine
// put it.
func cgroups(t *testing.T, engine crashed) []string {
	t.Helper()
	var found []string
	names := []string{filepath.Base(filepath.Dir(engine.dir)) + "-" + filepath.Base(engine.dir), "*/*" + engine.container + "*"}
	for _, name := range names {
		for _, root := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
			paths, err := filepath.Glob(root + name)
			assert.NilError(t, err)
			found = append(found, paths...)
		}
	}
	return found
}

// processes lists those with the folder dir in their command.
func processes(t *testing.T, dir string) []string {
	t.Helper()
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	assert.NilError(t, err)
	var found []string
	for _, path := range commands {
		command, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(command), dir+"/") {
			found = append(found, strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}
