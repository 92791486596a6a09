package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
)

// ownNamespace puts the test, and the processes that it starts, into a new network
// namespace, whose interface lo also has the address 10.231.9.2.
func ownNamespace(t *testing.T) {
	t.Helper()
	enginetest.OwnNetns(t)
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

// The agent lists the sockets of its namespace.
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
			var reply engine.ProbeReply
			runRole(t, "probe", `{"number": 7, "listeners": true}`, &reply)
			assert.Check(t, is.Equal(reply.Number, 7))
			assert.Assert(t, reply.Listeners != nil)
			assert.Check(t, is.DeepEqual(texts(*reply.Listeners), test.want))
		})
	}
}

func texts(reply engine.Read[listening.Listeners]) []string {
	var all []string
	if reply.Error != "" {
		all = append(all, "error: "+reply.Error)
	}
	for _, s := range reply.Found.Sockets {
		text := s.Address.String()
		if s.DualStack != "" {
			text += " IPv4: " + string(s.DualStack)
		}
		all = append(all, text)
	}
	return all
}

// The agent holds connections until it is told to stop.
func TestHold(t *testing.T) {
	t.Parallel()
	ownNamespace(t)
	listener, err := net.Listen("tcp", "10.231.9.2:80")
	assert.NilError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	cmd := asNobody(t, "probe")
	stdin, err := cmd.StdinPipe()
	assert.NilError(t, err)
	stdout, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, cmd.Start())
	replies := json.NewDecoder(stdout)
	ask := func(document string) (reply engine.ProbeReply) {
		_, err := io.WriteString(stdin, document+"\n")
		assert.NilError(t, err)
		assert.NilError(t, replies.Decode(&reply))
		return reply
	}

	held := ask(`{"number": 1, "hold": {"addresses": ["10.231.9.2:80", "10.231.9.2:81"], "timeout": 5000000000}}`).Held
	assert.Assert(t, is.Len(held, 2))
	assert.Check(t, held[0].Opened() && !held[1].Opened(), "%v", held)
	traffic := ask(`{"number": 2, "traffic": 80}`).Traffic
	assert.Assert(t, traffic != nil && len(traffic.Found.Connections) == 1, "%+v", traffic)
	assert.Check(t, is.Equal(traffic.Found.Connections[0].Remote, held[0].Local))

	accepted, err := listener.Accept()
	assert.NilError(t, err)
	assert.NilError(t, accepted.Close())
	closed := ask(`{"number": 1, "stop": true}`).Held
	assert.Assert(t, is.Len(closed, 2))
	assert.Check(t, is.Equal(closed[0].Local, held[0].Local))
	assert.NilError(t, stdin.Close())
	assert.NilError(t, cmd.Wait())
}
