// The agent only runs on Linux, so it is tested as a process only there.

package main

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// agentBinary is the path of the agent, built as `make build` does, for the tests that run
// it as a process.
var agentBinary string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	folder, err := os.MkdirTemp("", "nestprobe-agent-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	agentBinary = filepath.Join(folder, "nestprobe-agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", agentBinary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the agent: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// process is a running agent.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr bytes.Buffer
	port   string
}

// startProcess starts the built agent and returns when it listens.
func startProcess(tb testing.TB, args ...string) *process {
	tb.Helper()
	return startCommand(tb, &syscall.SysProcAttr{}, args...)
}

func startCommand(tb testing.TB, attributes *syscall.SysProcAttr, args ...string) *process {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	p := &process{cmd: exec.CommandContext(ctx, agentBinary, args...)}
	p.cmd.SysProcAttr = attributes
	p.cmd.Stderr = &p.stderr
	var err error
	p.stdin, err = p.cmd.StdinPipe()
	assert.NilError(tb, err)
	stdout, err := p.cmd.StdoutPipe()
	assert.NilError(tb, err)
	assert.NilError(tb, p.cmd.Start())
	tb.Cleanup(func() {
		cancel()
		_ = p.cmd.Wait() // an error when the test has waited already, or the kill's
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	assert.NilError(tb, err, "stderr: %s", &p.stderr)
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	assert.Assert(tb, ok, "it printed %q", line)
	_, p.port, err = net.SplitHostPort(address)
	assert.NilError(tb, err)
	return p
}

func (p *process) address() string { return net.JoinHostPort("127.0.0.1", p.port) }

// assertEnds waits for the end, and checks that the exit status is 0 and stderr is empty.
func (p *process) assertEnds(tb testing.TB) {
	tb.Helper()
	assert.NilError(tb, p.cmd.Wait())
	assert.Equal(tb, p.stderr.String(), "")
}

// occupy leaves connections of each kind open: one without a request, one in the middle of
// a request, one between requests and a WebSocket.
func (p *process) occupy(t *testing.T) {
	t.Helper()
	for _, sent := range []string{"", "GET /foo HTT", "GET /foo HTTP/1.1\r\nHost: x\r\n\r\n"} {
		conn, err := net.Dial("tcp", p.address())
		assert.NilError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, sent)
		assert.NilError(t, err)
	}
	ws, response, err := websocket.Dial(t.Context(), "ws://"+p.address()+"/ws", nil) //nolint:bodyclose // package websocket closes it
	assert.NilError(t, err)
	assert.Equal(t, response.Header.Get(netprobe.IdentityHeader), "tok")
	t.Cleanup(func() { _ = ws.CloseNow() })
}

func TestLeaseEndsTheProcess(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "tcp"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			p := startProcess(t, "serve", "--port", "0", "--identity", "tok", "--lease", "--scheme", scheme)
			_, err := io.WriteString(p.stdin, "this does not end the lease\n")
			assert.NilError(t, err)
			if scheme == "http" {
				p.occupy(t)
			}
			assert.NilError(t, p.stdin.Close())
			p.assertEnds(t)
		})
	}
}

func TestLeaseHasEndedAlready(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), hangGuard)
	defer cancel()
	// Without Stdin, package exec gives the null device.
	out, err := exec.CommandContext(ctx, agentBinary, "serve", "--port", "0", "--identity", "tok", "--lease").CombinedOutput()
	assert.NilError(t, err)
	// It may have begun to listen.
	assert.Assert(t, len(out) == 0 || bytes.HasPrefix(out, []byte("listening on ")), "%s", out)
}

func TestWithoutLeaseStdinIsIgnored(t *testing.T) {
	t.Parallel()
	p := startProcess(t, "serve", "--port", "0", "--identity", "tok")
	assert.NilError(t, p.stdin.Close())
	for range 20 { // time for an end that must not come
		response, err := http.Get("http://" + p.address() + "/foo")
		assert.NilError(t, err)
		assert.NilError(t, response.Body.Close())
		assert.Equal(t, response.StatusCode, http.StatusOK)
	}
	assert.NilError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.assertEnds(t)
}

func TestDeadlineEndsTheProcess(t *testing.T) {
	t.Parallel()
	const deadline = 2 * time.Second // which leaves it time to listen
	for name, args := range map[string][]string{
		"with a lease":    {"--lease"},
		"without a lease": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started := time.Now()
			p := startProcess(t, append([]string{"serve", "--port", "0", "--identity", "tok", "--deadline", deadline.String()}, args...)...)
			p.assertEnds(t)
			assert.Assert(t, time.Since(started) >= deadline, "it ended before its deadline")
		})
	}
}

func TestSignalsEndTheProcess(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		signal     syscall.Signal
		attributes *syscall.SysProcAttr
	}{
		"SIGTERM":          {syscall.SIGTERM, &syscall.SysProcAttr{}},
		"SIGINT":           {syscall.SIGINT, &syscall.SysProcAttr{}},
		"SIGTERM as PID 1": {syscall.SIGTERM, asPID1()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startCommand(t, test.attributes, "serve", "--port", "0", "--identity", "tok", "--lease")
			p.occupy(t)
			assert.NilError(t, p.cmd.Process.Signal(test.signal))
			p.assertEnds(t)
		})
	}
}

// asPID1 needs no privileges: the process gets its own user namespace.
func asPID1() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 65534, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 65534, HostID: os.Getgid(), Size: 1}},
	}
}

// The image is FROM scratch, so the program must need no loader and no library.
func TestAgentIsStaticAndSmall(t *testing.T) {
	t.Parallel()
	binary, err := elf.Open(agentBinary)
	assert.NilError(t, err)
	defer func() { _ = binary.Close() }()
	for _, segment := range binary.Progs {
		assert.Assert(t, segment.Type != elf.PT_INTERP, "the agent needs a loader")
		assert.Assert(t, segment.Type != elf.PT_DYNAMIC, "the agent needs libraries")
	}
	info, err := os.Stat(agentBinary)
	assert.NilError(t, err)
	const limit = 11 << 20 // it is uploaded to every new engine; 10.0 MiB when this was written
	assert.Assert(t, info.Size() < limit, "the agent has %d bytes", info.Size())
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", ":0")
	assert.NilError(t, err)
	defer func() { _ = taken.Close() }()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)

	ctx, cancel := context.WithTimeout(t.Context(), hangGuard)
	defer cancel()
	cmd := exec.CommandContext(ctx, agentBinary, "serve", "--port", port, "--identity", "tok")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	assert.ErrorContains(t, cmd.Run(), "exit status 1")
	assert.Equal(t, stderr.String(), fmt.Sprintf(
		"nestprobe-agent: listening on port %s: listen tcp :%s: bind: address already in use\n", port, port))
	assert.Equal(t, stdout.String(), "")
}

// Time from the start of the process to the end of the first good answer.
func BenchmarkStart(b *testing.B) {
	transport := &http.Transport{DisableKeepAlives: true}
	for b.Loop() {
		p := startProcess(b, "serve", "--port", "0", "--identity", "tok", "--lease")
		response, err := (&http.Client{Transport: transport}).Get("http://" + p.address() + "/foo")
		assert.NilError(b, err)
		assert.NilError(b, response.Body.Close())
		b.StopTimer()
		assert.NilError(b, p.stdin.Close())
		p.assertEnds(b)
		b.StartTimer()
	}
}
