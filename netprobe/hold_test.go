package netprobe_test

import (
	"net"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

func TestHold(t *testing.T) {
	t.Parallel()
	accepted := make(chan string, 1)
	keeps := serve(t, "tcp4", func(conn net.Conn) { accepted <- conn.RemoteAddr().String() })
	closes := serve(t, "tcp4", func(conn net.Conn) { _ = conn.Close() })
	refuses := listen(t, "tcp4", "127.0.0.1:0")
	assert.NilError(t, refuses.Close())

	held := netprobe.Hold(t.Context(), []string{keeps, closes, refuses.Addr().String(), "no address"}, netprobe.Options{Timeout: longTimeout})
	defer held.Close()
	assert.Assert(t, is.Len(held.Connections, 4))
	for i, opened := range []bool{true, true, false, false} {
		assert.Check(t, is.Equal(held.Connections[i].Opened(), opened), "%d", i)
	}
	assert.Check(t, is.Equal(<-accepted, held.Connections[0].Local.String()))
	assert.Check(t, is.Equal(held.Connections[0].Remote.String(), keeps))

	for began := time.Now(); !held.Look()[1].Closed; {
		assert.Assert(t, time.Since(began) < longTimeout)
	}
	assert.Check(t, !held.Look()[0].Closed)
}

// Close ends the connections, which the server sees.
func TestHeldClose(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	address := serve(t, "tcp4", func(conn net.Conn) {
		_, err := conn.Read(make([]byte, 1))
		ended <- err
	})
	held := netprobe.Hold(t.Context(), []string{address}, netprobe.Options{Timeout: longTimeout})
	held.Close()
	assert.ErrorContains(t, <-ended, "EOF")
}
