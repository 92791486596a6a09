package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
)

// Connecting to a server ends when the server exits: its address may not answer for a
// long time.
func TestRelayProxyServerDiesWhileDialled(t *testing.T) {
	t.Parallel()
	exited := make(chan struct{})
	l := &launch{
		slot:    newProxy(t, newServers(t)).slots[0],
		running: &experiment.Running{URL: "http://" + fullAcceptQueue(t), Exited: exited},
		done:    make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancelCause(t.Context())
	close(l.done)
	var err error
	l.proxy, err = l.newProxy()
	assert.NilError(t, err)
	w := httptest.NewRecorder()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		l.proxy.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/servers/1/foo", nil))
	}()
	close(exited)
	<-answered
	assert.Check(t, is.Equal(w.Code, 502))
	assert.Check(t, is.Equal(w.Body.String(), "server 1 did not answer: it has exited: send the request again to start a new one\n"))
}

// fullAcceptQueue returns an address that does not answer: its accept queue has room for
// one connection (listen(2)), which is there.
func fullAcceptQueue(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	assert.NilError(t, err)
	t.Cleanup(func() { assert.Check(t, unix.Close(fd)) })
	assert.NilError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	assert.NilError(t, unix.Listen(fd, 0))
	name, err := unix.Getsockname(fd)
	assert.NilError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	conn, err := net.Dial("tcp", address)
	assert.NilError(t, err)
	t.Cleanup(func() { assert.Check(t, conn.Close()) })
	return address
}
