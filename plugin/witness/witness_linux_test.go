package witness_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/witness"
)

// kernel reads the sockets of this process's network namespace. It leaves out the
// counters, which count the connections of forwarders here too.
type kernel struct{ listening.TrafficReader }

func (k *kernel) Baseline(_ context.Context, port uint16) (listening.Traffic, error) {
	traffic, err := k.TrafficReader.Baseline(port)
	traffic.Counters = listening.Counters{}
	return traffic, err
}

func (k *kernel) Traffic(_ context.Context, port uint16) (listening.Traffic, error) {
	traffic, err := k.TrafficReader.Traffic(port)
	traffic.Counters = listening.Counters{}
	return traffic, err
}

// timeout is how long a connection may wait to be accepted.
const timeout = 300 * time.Millisecond

// serve accepts connections until the end of the test.
func serve(t *testing.T, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go handle(conn)
		}
	}()
	return netip.MustParseAddrPort(listener.Addr().String())
}

// holds keeps a connection until its client closes it.
func holds(conn net.Conn) { _, _ = io.Copy(io.Discard, conn); _ = conn.Close() }

func closes(conn net.Conn) { _ = conn.Close() }

// forwards accepts and connects to another address, as a port forwarder does.
func forwards(to netip.AddrPort) func(net.Conn) {
	return func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		next, err := net.Dial("tcp", to.String())
		if err != nil {
			return
		}
		defer func() { _ = next.Close() }()
		go func() { _, _ = io.Copy(conn, next); _ = conn.Close() }()
		_, _ = io.Copy(next, conn)
	}
}

// listens returns a server never accepts. The queue has room for one more than the limit.
func listens(t *testing.T, limit int) netip.AddrPort {
	t.Helper()
	address, _ := listensOn(t, limit)
	return address
}

// listensOn also returns the socket.
func listensOn(t *testing.T, limit int) (netip.AddrPort, int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	assert.NilError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	assert.NilError(t, unix.Listen(fd, limit))
	name, err := unix.Getsockname(fd)
	assert.NilError(t, err)
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*unix.SockaddrInet4).Port)), fd
}

func accepting(t *testing.T) netip.AddrPort {
	t.Helper()
	return serve(t, holds)
}

func closing(t *testing.T) netip.AddrPort {
	t.Helper()
	return serve(t, closes)
}

func stuck(t *testing.T) netip.AddrPort {
	t.Helper()
	return listens(t, 16)
}

// deferring is a server that the kernel hands a connection when data has come.
func deferring(t *testing.T) netip.AddrPort {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 30) })
		if err != nil {
			return err
		}
		return set
	}}
	config.SetMultipathTCP(false)
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return netip.MustParseAddrPort(listener.Addr().String())
}

func watch(t *testing.T, closedLater bool, server netip.AddrPort, addresses ...netip.AddrPort) []facts.Seen {
	t.Helper()
	all := make([]witness.Address, len(addresses))
	for i, a := range addresses {
		all[i] = witness.Address{From: witness.Here{}, Address: a.String()}
	}
	began := time.Now()
	sightings, err := witness.Watch(t.Context(), &kernel{}, server.Port(), all, timeout)
	assert.NilError(t, err)
	t.Logf("it took %s", time.Since(began).Round(100*time.Microsecond))
	seen := make([]facts.Seen, len(sightings))
	for i, s := range sightings {
		if s.Seen == facts.SeenAccepted && closedLater {
			s.Seen = facts.SeenClosed // the look came between the two
		}
		assert.Check(t, is.Equal(s.Address, all[i].Address))
		seen[i] = s.Seen
	}
	return seen
}

// Each server is watched directly and through a forwarder, which is what the witness has
// to tell from another server.
func TestWatch(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		server func(t *testing.T) netip.AddrPort
		want   facts.Seen
	}{
		"accepts":           {accepting, facts.SeenAccepted},
		"closes":            {closing, facts.SeenClosed},
		"does not accept":   {stuck, facts.SeenWaiting},
		"accepts with data": {deferring, facts.SeenDeferred},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := test.server(t)
			forwarder := serve(t, forwards(server))
			other := serve(t, holds)
			assert.DeepEqual(t, watch(t, test.want == facts.SeenClosed, server, server), []facts.Seen{test.want})
			assert.DeepEqual(t, watch(t, test.want == facts.SeenClosed, server, forwarder), []facts.Seen{test.want})
			assert.DeepEqual(t, watch(t, test.want == facts.SeenClosed, server, other), []facts.Seen{facts.SeenNothing})
			assert.DeepEqual(t, watch(t, test.want == facts.SeenClosed, server, server, forwarder, forwarder), []facts.Seen{test.want, test.want, test.want})
			assert.DeepEqual(t, watch(t, test.want == facts.SeenClosed, server, forwarder, other, server, other), []facts.Seen{test.want, facts.SeenNothing, test.want, facts.SeenNothing})
		})
	}
}

// A forwarder that forwards to nobody is told from one that reaches the server.
func TestWatchDeadForwarder(t *testing.T) {
	t.Parallel()
	server := serve(t, holds)
	dead := serve(t, forwards(netip.MustParseAddrPort("127.0.0.1:1")))
	silent := serve(t, func(conn net.Conn) { time.Sleep(timeout); _ = conn.Close() })
	refused := netip.MustParseAddrPort("127.0.0.1:1")
	seen := watch(t, false, server, dead, silent, refused, server)
	assert.DeepEqual(t, seen, []facts.Seen{facts.SeenNothing, facts.SeenNothing, "", facts.SeenAccepted})
}

// With a full queue the handshake is not completed at the server, although the client
// takes the connection for established.
func TestWatchFullQueue(t *testing.T) {
	t.Parallel()
	server := listens(t, 1)
	forwarder := serve(t, forwards(server))
	for range 2 {
		conn, err := net.Dial("tcp", server.String())
		assert.NilError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
	}
	seen := watch(t, false, server, forwarder)
	assert.Check(t, seen[0] == facts.SeenNothing || seen[0] == facts.SeenWaiting, "%v", seen)
}

// A server with a short accept queue takes its connections, if not all at once: none of them is
// taken for one of another server.
func TestWatchShortQueue(t *testing.T) {
	t.Parallel()
	server, fd := listensOn(t, 1)
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go func() { // ends with the test, or the socket
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			conn, _, err := unix.Accept(fd)
			if err != nil {
				return
			}
			time.AfterFunc(timeout, func() { _ = unix.Close(conn) })
		}
	}()
	go func() { // another client; ends with the test
		for {
			select {
			case <-stop:
				return
			case <-time.After(15 * time.Millisecond):
			}
			if conn, err := net.DialTimeout("tcp", server.String(), timeout); err == nil {
				time.AfterFunc(20*time.Millisecond, func() { _ = conn.Close() })
			}
		}
	}()
	forwarder := serve(t, forwards(server))
	for _, seen := range watch(t, false, server, forwarder, forwarder) {
		assert.Check(t, seen != facts.SeenNothing, seen)
	}
}

// answers answers what a client sends, and closes first: the kernel then keeps the
// connection in its list for a minute.
func answers(conn net.Conn) {
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		_, _ = conn.Write([]byte{1})
	}
	_ = conn.Close()
}

// Other clients come and go all the time, as many as 200 a second.
func TestWatchBusyServer(t *testing.T) { //nolint:tparallel // one subtest would disturb the other
	t.Parallel()
	for name, test := range map[string]struct {
		handle func(net.Conn)
		least  int // of five times, to be told from other clients; a machine under load makes them slow
	}{
		"clients close": {holds, 5}, "the server closes": {answers, 3},
	} {
		t.Run(name, func(t *testing.T) {
			watchBusy(t, serve(t, test.handle), test.least)
		})
	}
}

func watchBusy(t *testing.T, server netip.AddrPort, least int) {
	t.Helper()
	forwarder := serve(t, forwards(server))
	other := serve(t, holds)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var served atomic.Int64
	for range 4 {
		clients.Go(func() {
			for tick := time.NewTicker(20 * time.Millisecond); ; {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				conn, err := net.Dial("tcp", forwarder.String())
				if err != nil {
					t.Error(err)
					return
				}
				served.Add(1)
				_, _ = conn.Write([]byte{1})
				_ = conn.SetReadDeadline(time.Now().Add(3 * time.Millisecond)) // what a request takes
				_, _ = conn.Read(make([]byte, 1))
				_ = conn.Close()
			}
		})
	}
	began, told := time.Now(), 0
	for range 5 {
		seen := watch(t, false, server, forwarder, other, server)
		if seen[0] == facts.SeenAccepted {
			told++
		}
		assert.Check(t, seen[0] == facts.SeenAccepted || seen[0] == facts.SeenAmongOthers, "%v", seen)
		assert.Check(t, seen[1] == facts.SeenNothing || seen[1] == facts.SeenAmongOthers, "%v", seen)
		assert.Check(t, is.Equal(seen[2], facts.SeenAccepted))
	}
	assert.Check(t, told >= least, "%d of 5", told)
	t.Logf("%d connections of other clients in %s", served.Load(), time.Since(began))
	stop()
	clients.Wait()
}

// An address that is written as a name is dialled as a probe does it.
func TestWatchName(t *testing.T) {
	t.Parallel()
	server := serve(t, holds)
	address := witness.Address{From: witness.Here{}, Address: "localhost:" + strconv.Itoa(int(server.Port()))}
	sightings, err := witness.Watch(t.Context(), &kernel{}, server.Port(), []witness.Address{address}, timeout)
	assert.NilError(t, err)
	assert.Check(t, is.Equal(sightings[0].Seen, facts.SeenAccepted))
	assert.Check(t, is.Equal(sightings[0].Peer, netip.MustParseAddr("127.0.0.1")))
}

// In a namespace that the server shares, another server has the port at another address.
func TestWatchOwn(t *testing.T) {
	t.Parallel()
	server := serve(t, holds)
	other := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), server.Port())
	listener, err := net.Listen("tcp", other.String())
	assert.NilError(t, err)
	t.Cleanup(func() { _ = listener.Close() })

	own := listening.Listeners{Sockets: []listening.Socket{{Address: server}}}
	unowned := own
	unowned.Unowned = true
	for name, test := range map[string]struct {
		own  listening.Listeners
		want []facts.Seen
	}{
		"it listens":        {own, []facts.Seen{facts.SeenAccepted, facts.SeenNothing}},
		"it does not":       {listening.Listeners{}, []facts.Seen{facts.SeenNothing, facts.SeenNothing}},
		"it cannot be told": {unowned, []facts.Seen{facts.SeenAmongOthers, facts.SeenAmongOthers}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addresses := []witness.Address{{From: witness.Here{}, Address: server.String()}, {From: witness.Here{}, Address: other.String()}}
			sightings, err := witness.WatchOwn(t.Context(), &kernel{}, test.own, server.Port(), addresses, timeout)
			assert.NilError(t, err)
			for i, want := range test.want {
				assert.Check(t, is.Equal(sightings[i].Seen, want), "%d", i)
			}
		})
	}
}
