package listening

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// hangGuard only guards against a kernel that never gets there.
const hangGuard = 10 * time.Second

// until reads the traffic of port 80 until it is as expected.
func until(t *testing.T, expected func(Traffic) bool) Traffic {
	t.Helper()
	for began := time.Now(); ; {
		got, err := ReadTraffic(80)
		assert.NilError(t, err)
		if expected(got) {
			return got
		}
		assert.Assert(t, time.Since(began) < hangGuard, "the last traffic was %+v", got)
	}
}

func dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", "10.231.9.2:80")
	assert.NilError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// only says whether there is one connection, from conn, that is in the state.
func only(conn net.Conn, state State, accepted bool) func(Traffic) bool {
	want := Connection{
		Local:  netip.MustParseAddrPort(conn.RemoteAddr().String()),
		Remote: netip.MustParseAddrPort(conn.LocalAddr().String()),
		State:  state, Accepted: accepted,
	}
	return func(got Traffic) bool { return slices.Equal(got.Connections, []Connection{want}) }
}

func TestReadTraffic(t *testing.T) {
	t.Parallel()
	for name, listen := range map[string]func() (net.Listener, error){
		"IPv4":             func() (net.Listener, error) { return net.Listen("tcp4", ":80") },
		"both":             func() (net.Listener, error) { return net.Listen("tcp", ":80") },
		"no Multipath TCP": func() (net.Listener, error) { return plainTCP().Listen(t.Context(), "tcp", ":80") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ownNamespace(t)
			listener, err := listen()
			assert.NilError(t, err)
			defer func() { _ = listener.Close() }()
			before, err := ReadTraffic(80)
			assert.NilError(t, err)
			assert.Check(t, is.Len(before.Connections, 0))

			conn := dial(t)
			got := until(t, only(conn, StateOpen, false))
			assert.Check(t, is.Len(got.Queues, 1))
			assert.Check(t, is.Equal(got.Queues[0].Length, uint32(1)))
			assert.Check(t, got.Queues[0].Limit >= 1 && !got.Queues[0].Full(), "%+v", got.Queues)
			until(t, func(got Traffic) bool { return got.Counters.Opened == before.Counters.Opened+1 })

			accepted, err := listener.Accept()
			assert.NilError(t, err)
			got = until(t, only(conn, StateOpen, true))
			assert.Check(t, is.Equal(got.Queues[0].Length, uint32(0)))

			assert.NilError(t, accepted.Close())
			until(t, only(conn, StateServerClosed, false))
		})
	}
}

func TestReadTrafficThatTheClientCloses(t *testing.T) {
	t.Parallel()
	ownNamespace(t)
	listener, err := net.Listen("tcp", ":80")
	assert.NilError(t, err)
	defer func() { _ = listener.Close() }()
	conn := dial(t)
	accepted, err := listener.Accept()
	assert.NilError(t, err)
	defer func() { _ = accepted.Close() }()
	expected := only(conn, StateClientClosed, true)
	assert.NilError(t, conn.Close())
	until(t, expected)
}

// What was there at the baseline is left out until the next one, whatever becomes of it.
func TestTrafficSinceABaseline(t *testing.T) {
	t.Parallel()
	ownNamespace(t)
	listener, err := net.Listen("tcp", ":80")
	assert.NilError(t, err)
	defer func() { _ = listener.Close() }()
	old := dial(t)
	until(t, only(old, StateOpen, false))
	var reader TrafficReader
	got, err := reader.Baseline(80)
	assert.NilError(t, err)
	assert.Check(t, is.Len(got.Connections, 0))
	assert.Check(t, is.Len(got.Queues, 1))

	conn := dial(t)
	until(t, func(got Traffic) bool { return len(got.Connections) == 2 })
	assert.NilError(t, old.Close())
	got, err = reader.Traffic(80)
	assert.NilError(t, err)
	assert.Check(t, only(conn, StateOpen, false)(got), "%+v", got.Connections)
	got, err = new(TrafficReader).Traffic(80)
	assert.NilError(t, err)
	assert.Check(t, is.Len(got.Connections, 2))
}

// A queue takes one connection more than its limit. The kernel drops the end of further
// handshakes, and the client takes its connection for established.
func TestReadTrafficOfAFullQueue(t *testing.T) {
	t.Parallel()
	ownNamespace(t)
	bind(unix.AF_INET, &unix.SockaddrInet4{Port: 80}, func(int) error { return nil })(t) // listens with a limit of 1
	for range 2 {
		dial(t)
	}
	got := until(t, func(got Traffic) bool { return len(got.Connections) == 2 })
	assert.Check(t, got.Queues[0].Full(), "%+v", got.Queues)
	third, err := net.DialTimeout("tcp", "10.231.9.2:80", 100*time.Millisecond)
	if err == nil {
		defer func() { _ = third.Close() }()
	}
	until(t, func(got Traffic) bool { return got.Counters.Overflows > 0 })
	got = until(t, func(Traffic) bool { return true })
	open := slices.DeleteFunc(got.Connections, func(c Connection) bool { return c.State != StateOpen })
	assert.Check(t, is.Len(open, 2))
}

// A port that nothing listens on answers with a reset.
func TestReadTrafficOfNothing(t *testing.T) {
	t.Parallel()
	ownNamespace(t)
	_, err := net.Dial("tcp", "10.231.9.2:80")
	assert.ErrorIs(t, err, unix.ECONNREFUSED)
	got := until(t, func(got Traffic) bool { return got.Counters.Resets > 0 })
	assert.Check(t, is.Len(got.Connections, 0))
	assert.Check(t, is.Len(got.Queues, 0))
}

func TestReadOtherSockets(t *testing.T) {
	t.Parallel()
	ownNamespace(t)
	udp(t)
	listen("tcp", ":81")(t)
	path := filepath.Join(t.TempDir(), "a server.sock")
	for _, address := range []string{path, fmt.Sprintf("@abstract-%d", os.Getpid())} {
		listen("unix", address)(t)
	}
	got, err := Read()
	assert.NilError(t, err)
	assert.Check(t, slices.Equal(got.UDP, []netip.AddrPort{netip.MustParseAddrPort("[::]:80")}), "%v", got.UDP)
	assert.Check(t, slices.Contains(got.Unix, path), "%v", got.Unix)
	assert.Check(t, is.Len(got.Unix, 2))
	assert.Check(t, got.OnlyUDP(80))
	assert.Check(t, !got.OnlyUDP(81))
}
