package connection

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"

	"gotest.tools/v3/assert"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// accept hands every connection on a loopback listener to talk, which owns it,
// until the test ends.
func accept(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	acceptOn(t, listener, talk)
	return listener.Addr().String()
}

func acceptOn(t *testing.T, listener net.Listener, talk func(net.Conn)) {
	t.Helper()
	var open sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			open.Go(func() {
				defer stop()
				defer func() { _ = conn.Close() }()
				talk(conn)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		assert.NilError(t, listener.Close())
		open.Wait()
	})
}

// first returns the first byte of a connection without consuming it.
func first(conn net.Conn) (byte, net.Conn) {
	reader := bufio.NewReader(conn)
	peeked, err := reader.Peek(1)
	if err != nil {
		return 0, nil
	}
	return peeked[0], &peekedConn{conn, reader}
}

type peekedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (p *peekedConn) Read(b []byte) (int, error) { return p.reader.Read(b) }

const handshakeRecord = 22 // RFC 8446, section 5.1

// serveTLS is net/http's TLS server.
func serveTLS(t *testing.T, config *tls.Config) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	server := &http.Server{TLSConfig: config, ErrorLog: quiet()}
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() {
		assert.NilError(t, server.Close())
		assert.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return listener.Addr().String()
}

// serveStrictTLS closes every connection that does not begin with a TLS handshake.
func serveStrictTLS(t *testing.T, config *tls.Config) string {
	t.Helper()
	return accept(t, func(conn net.Conn) {
		if kind, again := first(conn); kind == handshakeRecord {
			_ = tls.Server(again, config).HandshakeContext(t.Context())
		}
	})
}

// serveNginxLike answers 400 with its own text to plain HTTP on a TLS port.
func serveNginxLike(t *testing.T, config *tls.Config) string {
	t.Helper()
	return accept(t, func(conn net.Conn) {
		kind, conn := first(conn)
		if kind == handshakeRecord {
			_ = tls.Server(conn, config).HandshakeContext(t.Context())
			return
		}
		if conn == nil {
			return
		}
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nServer: other\r\nContent-Length: 5\r\nConnection: close\r\n\r\nplain")
		}
	})
}

// serveStrictHTTP is an engine that closes every connection that is not HTTP.
func serveStrictHTTP(t *testing.T) string {
	t.Helper()
	return accept(t, func(conn net.Conn) {
		kind, conn := first(conn)
		if kind != 'G' && kind != 'H' {
			return
		}
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
	})
}
