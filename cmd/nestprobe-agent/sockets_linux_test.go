package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// ownNamespace puts the test, and the processes that it starts, into a new network
// namespace, whose interface lo also has the address 10.231.9.2.
func ownNamespace(t *testing.T) {
	t.Helper()
	// The thread is never unlocked: it ends with the test's goroutine, and with
	// it the namespace.
	runtime.LockOSThread()
	namespace, err := netns.New()
	assert.NilError(t, err, "this test makes a network namespace, which takes root")
	t.Cleanup(func() { _ = namespace.Close() })
	lo, err := netlink.LinkByName("lo")
	assert.NilError(t, err)
	assert.NilError(t, netlink.LinkSetUp(lo))
	address, err := netlink.ParseAddr("10.231.9.2/32")
	assert.NilError(t, err)
	assert.NilError(t, netlink.AddrAdd(lo, address))
}

// asNobody returns the agent as it runs in containers: not as root, without capabilities.
func asNobody(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	t.Cleanup(cancel)
	// That user cannot read the folder that the agent is in.
	binary, err := os.Open(agentBinary)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = binary.Close() })
	cmd := exec.CommandContext(ctx, "/proc/self/fd/3", args...)
	cmd.ExtraFiles = []*os.File{binary}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return cmd
}

// runRole starts the agent in a role, sends it a document unless that is empty, and
// decodes its answer. Any other output is an error.
func runRole(t *testing.T, role, document string, answer any) {
	t.Helper()
	cmd := asNobody(t, role)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	assert.NilError(t, err)
	stdout, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, cmd.Start())
	if document != "" {
		_, err = io.WriteString(stdin, document+"\n")
		assert.NilError(t, err)
	}
	decoder := json.NewDecoder(stdout)
	assert.NilError(t, decoder.Decode(answer), "%s", &stderr)
	assert.NilError(t, stdin.Close())
	var more any
	assert.Check(t, is.ErrorIs(decoder.Decode(&more), io.EOF), "it printed more: %v", more)
	assert.NilError(t, cmd.Wait(), "%s", &stderr)
	assert.Check(t, is.Equal(stderr.String(), ""))
}

// Both roles list the same sockets.
func TestSockets(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ listen, want []string }{
		"nothing":           {},
		"loopback":          {[]string{"tcp 127.0.0.1:80"}, []string{"127.0.0.1:80"}},
		"loopback of IPv6":  {[]string{"tcp [::1]:80"}, []string{"[::1]:80"}},
		"any of IPv4":       {[]string{"tcp4 0.0.0.0:80"}, []string{"0.0.0.0:80"}},
		"any of IPv6":       {[]string{"tcp6 [::]:80"}, []string{"[::]:80 IPv4: no"}},
		"any of both":       {[]string{"tcp [::]:80"}, []string{"[::]:80 IPv4: yes"}},
		"one address":       {[]string{"tcp 10.231.9.2:80"}, []string{"10.231.9.2:80"}},
		"Docker's resolver": {[]string{"tcp 127.0.0.11:80"}, nil},
		"many": {
			[]string{"tcp 127.0.0.11:40001", "tcp [::1]:9000", "tcp 127.0.0.1:80"},
			[]string{"127.0.0.1:80", "[::1]:9000"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ownNamespace(t)
			for _, where := range test.listen {
				network, address, _ := strings.Cut(where, " ")
				listener, err := net.Listen(network, address)
				assert.NilError(t, err)
				t.Cleanup(func() { _ = listener.Close() })
			}
			var listeners engine.ListenersReply
			runRole(t, "sockets", "", &listeners)
			assert.Check(t, is.DeepEqual(texts(listeners), test.want))
			var reply engine.ProbeReply
			runRole(t, "probe", `{"number": 7, "listeners": true}`, &reply)
			assert.Check(t, is.Equal(reply.Number, 7))
			assert.Assert(t, reply.Listeners != nil)
			assert.Check(t, is.DeepEqual(texts(*reply.Listeners), test.want))
		})
	}
}

func texts(reply engine.ListenersReply) []string {
	var all []string
	if reply.Error != "" {
		all = append(all, "error: "+reply.Error)
	}
	for _, s := range reply.Listeners.Sockets {
		text := s.Address.String()
		if s.DualStack != "" {
			text += " IPv4: " + string(s.DualStack)
		}
		all = append(all, text)
	}
	return all
}

// When stdin ends, the agent ends, with or without its answer.
func TestSocketsLeaseIsOver(t *testing.T) {
	t.Parallel()
	out, err := asNobody(t, "sockets").Output() // without Stdin, package exec gives the null device
	assert.NilError(t, err)
	var reply engine.ListenersReply
	assert.Check(t, len(out) == 0 || json.Unmarshal(out, &reply) == nil, "%s", out)
}

// If its output is not read, the agent still ends with its lease.
func TestSocketsOutputIsNotRead(t *testing.T) {
	t.Parallel()
	in, stdin := io.Pipe()
	blocked := blockedWriter{begun: make(chan struct{}), end: make(chan struct{})}
	defer close(blocked.end)
	ended := make(chan int)
	var stderr bytes.Buffer
	go func() {
		ended <- run(t.Context(), []string{"sockets"}, stdio{in: in, out: blocked, err: &stderr})
	}()
	<-blocked.begun
	assert.NilError(t, stdin.Close())
	assert.Check(t, is.Equal(<-ended, exitOK), "%s", &stderr)
}

// blockedWriter is a pipe that is full.
type blockedWriter struct{ begun, end chan struct{} }

func (w blockedWriter) Write(p []byte) (int, error) {
	close(w.begun)
	<-w.end
	return len(p), nil
}
