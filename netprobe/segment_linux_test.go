package netprobe_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// TestMaxSegment announces how long segments may be; the server sends no longer ones.
func TestMaxSegment(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 536} {
		sizes := make(chan int, 1)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		server.Config.ConnState = func(conn net.Conn, state http.ConnState) {
			if state == http.StateActive {
				sizes <- segment(t, conn)
			}
		}
		server.Start()
		result := netprobe.Probe(t.Context(), netprobe.Target{Address: server.Listener.Addr().String()}, netprobe.Options{Control: netprobe.LimitSegments(limit)})
		server.Close()
		if !result.OK || result.PathMTU <= 1500 {
			t.Errorf("limit %d: %s; a path MTU of %d on loopback", limit, result.Detail, result.PathMTU)
		}
		if got := <-sizes; limit == 0 && got <= 1500 || limit > 0 && got > limit {
			t.Errorf("segments of %d bytes, limit %d", got, limit)
		}
	}
}

// segment is the longest segment that is sent on a connection.
func segment(t *testing.T, conn net.Conn) int {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Error(err)
		return 0
	}
	size := 0
	if err := raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Error(err)
			return
		}
		size = int(info.Snd_mss)
	}); err != nil {
		t.Error(err)
	}
	return size
}
