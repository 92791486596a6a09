package listening_test

import (
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
)

// neighbour is a process in the network namespace of the tests.
func neighbour(t *testing.T) listening.Process {
	t.Helper()
	sleep := exec.CommandContext(t.Context(), "sleep", "60")
	assert.NilError(t, sleep.Start())
	t.Cleanup(func() {
		_ = sleep.Process.Kill()
		_ = sleep.Wait()
	})
	return listening.Process{PID: sleep.Process.Pid}
}

// The files of a process show what netlink shows, but for DualStack.
func TestProcess(t *testing.T) {
	t.Parallel()
	process := neighbour(t)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"} {
		listener, err := net.Listen("tcp", address)
		assert.NilError(t, err)
		defer func() { _ = listener.Close() }()
		at := netip.MustParseAddrPort(listener.Addr().String())
		seen, err := process.Sockets()
		assert.NilError(t, err)
		assert.Check(t, is.DeepEqual(seen.On(at.Port()), []netip.Addr{at.Addr()}, cmpopts.EquateComparable(netip.Addr{})), address)
		assert.Check(t, is.Equal(seen.OnlyLoopback(at.Port()), at.Addr().IsLoopback()), address)
		assert.Check(t, seen.Serves(at), address)
	}
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	assert.NilError(t, err)
	defer func() { _ = packets.Close() }()
	path := t.TempDir() + "/socket"
	unix, err := net.Listen("unix", path)
	assert.NilError(t, err)
	defer func() { _ = unix.Close() }()
	seen, err := process.Sockets()
	assert.NilError(t, err)
	assert.Check(t, slices.Contains(seen.UDP, netip.MustParseAddrPort(packets.LocalAddr().String())))
	assert.Check(t, slices.Contains(seen.Unix, path))
}

// A connection is listed from the handshake on, with whether it has been accepted; those of
// the baseline are left out.
func TestTrafficOfProcess(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	defer func() { _ = listener.Close() }()
	port := netip.MustParseAddrPort(listener.Addr().String()).Port()
	dial := func() {
		conn, err := net.Dial("tcp", listener.Addr().String())
		assert.NilError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
	}
	dial()
	reader := neighbour(t).Traffic()
	before, err := reader.Baseline(port)
	assert.NilError(t, err)
	assert.Check(t, is.Len(before.Connections, 0))
	dial()
	waiting, err := reader.Traffic(port)
	assert.NilError(t, err)
	assert.Assert(t, is.Len(waiting.Connections, 1))
	assert.Check(t, waiting.Connections[0].State == listening.StateOpen && !waiting.Connections[0].Accepted)
	assert.Check(t, waiting.Counters.Opened > before.Counters.Opened)
	for range 2 {
		conn, err := listener.Accept()
		assert.NilError(t, err)
		defer func() { _ = conn.Close() }()
	}
	accepted, err := reader.Traffic(port)
	assert.NilError(t, err)
	assert.Assert(t, is.Len(accepted.Connections, 1))
	assert.Check(t, accepted.Connections[0].Accepted)

	_, err = listening.Process{PID: -1}.Sockets()
	assert.ErrorContains(t, err, "process -1")
	_, err = listening.Process{PID: -1}.Traffic().Traffic(port)
	assert.ErrorContains(t, err, "process -1")
}
