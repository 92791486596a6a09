package main

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// namedListener adds the identity to the answers that net/http gives before any handler
// runs: to a malformed request, to headers that are too large, to plain HTTP on a TLS
// port. They are written to the connection in one piece, and net/http has no hook for
// them. Without the identity such an answer would look like that of another server. (The
// answer to a malformed request inside TLS does not get it.)
type namedListener struct {
	net.Listener
	identity string
}

// Accept returns a connection that adds the identity.
func (l *namedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &namedConn{Conn: conn, identity: l.identity}, nil
}

type namedConn struct {
	net.Conn
	identity string
	hijacked atomic.Bool // by a WebSocket, whose data must not be changed
}

// Write adds the identity to p if p is an answer without it.
func (c *namedConn) Write(p []byte) (int, error) {
	head, rest, ok := anonymousAnswer(p)
	if !ok || c.hijacked.Load() {
		return c.Conn.Write(p)
	}
	named := make([]byte, 0, len(p)+len(netprobe.IdentityHeader)+len(c.identity)+len(": \r\n"))
	named = append(named, head...)
	named = append(named, netprobe.IdentityHeader+": "+c.identity+"\r\n"...)
	named = append(named, rest...)
	n, err := c.Conn.Write(named)
	return min(n, len(p)), err // the caller counts only its own bytes
}

// CloseWrite is called by net/http so that a client can read an error to its end.
func (c *namedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
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
	if named, ok := conn.(*namedConn); ok {
		named.hijacked.Store(true)
	}
}
