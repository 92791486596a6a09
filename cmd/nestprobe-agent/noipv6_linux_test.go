package main

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// Docker disables IPv6 in the network namespace of a container whose networks have no
// IPv6, which is the default.
func TestServesWhereIPv6IsOff(t *testing.T) {
	t.Parallel()
	enginetest.OwnNetns(t)
	loopback, err := netlink.LinkByName("lo")
	assert.NilError(t, err)
	assert.NilError(t, netlink.LinkSetUp(loopback))
	assert.NilError(t, os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0o644))
	_, err = net.Dial("tcp", "[::1]:1")
	assert.ErrorIs(t, err, syscall.EADDRNOTAVAIL, "IPv6 is still enabled")

	p := startProcess(t, "serve", "--port", "0", "--identity", "tok", "--lease")
	conn, err := net.Dial("tcp", p.address())
	assert.NilError(t, err)
	defer func() { _ = conn.Close() }()
	assert.NilError(t, conn.SetDeadline(time.Now().Add(hangGuard)))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://server/foo", nil)
	assert.NilError(t, err)
	assert.NilError(t, request.Write(conn))
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	assert.NilError(t, err)
	assert.NilError(t, response.Body.Close())
	assert.Equal(t, response.StatusCode, http.StatusOK)
	assert.Equal(t, response.Header.Get(netprobe.IdentityHeader), "tok")
	assert.NilError(t, p.stdin.Close())
	p.assertEnds(t)
}
