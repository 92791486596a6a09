package main

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// maxConnections is below 1024, the lowest default limit of open files for a process
// among the engines. Further connections wait in the accept queue.
const maxConnections = 512

// limitConnections bounds how many accepted connections are open at the same time. A
// WebSocket counts until it is closed.
func limitConnections(listener net.Listener, limit int) *serverListener {
	return &serverListener{
		Listener: listener,
		slots:    make(chan struct{}, limit),
		closed:   make(chan struct{}),
	}
}

// serverListener accepts the connections of a server. It bounds their number. (Package
// netutil does too, but its connections cannot be closed only for writing.) With an
// identity, they add it to answers without one.
type serverListener struct {
	net.Listener
	identity  string
	stall     time.Duration // how long a write may wait for the client; 0 for any time
	slots     chan struct{}
	closed    chan struct{}
	closeOnce sync.Once
}

// Accept waits until fewer connections than the limit are open.
func (l *serverListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &serverConn{Conn: conn, identity: l.identity, stall: l.stall, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close also ends an Accept that waits.
func (l *serverListener) Close() error {
	l.closeOnce.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// serverConn adds the identity to the answers that net/http gives before any handler
// runs: to a malformed request, to headers that are too large, to plain HTTP on a TLS
// port. They are written to the connection in one piece, and net/http has no hook for
// them. Without the identity such an answer would look like that of another server. (The
// answer to a malformed request inside TLS does not get it.)
type serverConn struct {
	net.Conn
	identity string
	stall    time.Duration
	hijacked atomic.Bool // by a WebSocket, whose data must not be changed
	release  func()
}

// Close lets the listener accept another connection.
func (c *serverConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// CloseWrite ends the stream for net/http, and after the greeting, without discarding what
// the other side has not read yet.
func (c *serverConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Write adds the identity to p if p is an answer without it.
func (c *serverConn) Write(p []byte) (int, error) {
	if c.stall > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
			return 0, err
		}
	}
	if c.identity == "" {
		return c.Conn.Write(p)
	}
	statusLine, rest, ok := anonymousAnswer(p)
	if !ok || c.hijacked.Load() {
		return c.Conn.Write(p)
	}
	n, err := c.Conn.Write(slices.Concat(statusLine, []byte(netprobe.IdentityHeader+": "+c.identity+"\r\n"), rest))
	return min(n, len(p)), err // the caller counts only its own bytes
}

// anonymousAnswer splits an HTTP answer without the identity after its status line. It is
// false for the answers of handlers, which have the header, and for TLS records, which
// start with a byte below 0x20.
func anonymousAnswer(p []byte) (statusLine, rest []byte, ok bool) {
	if !bytes.HasPrefix(p, []byte("HTTP/1.")) {
		return nil, nil, false
	}
	head, _, ok := bytes.Cut(p, []byte("\r\n\r\n"))
	if !ok || bytes.Contains(head, []byte(netprobe.IdentityHeader)) {
		return nil, nil, false
	}
	end := bytes.Index(p, []byte("\r\n")) + len("\r\n")
	return p[:end], p[end:], true
}

// forgetHijacked is a [http.Server] ConnState hook.
func forgetHijacked(conn net.Conn, state http.ConnState) {
	if state != http.StateHijacked {
		return
	}
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if served, ok := conn.(*serverConn); ok {
		served.hijacked.Store(true)
	}
}
