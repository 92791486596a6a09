package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// greetTimeout bounds one connection: the greeting and the client's end of it.
const greetTimeout = 5 * time.Second

// maxIgnored is how much is read from a client that talks to a server which
// only greets.
const maxIgnored = 64 << 10

// serveTCP greets everyone who connects, until ctx ends; then it returns nil
// at once. The greeting is two lines, the identity in the form of the HTTP
// header and the body.
func serveTCP(ctx context.Context, listener net.Listener, opts serveOptions) error {
	greeting := fmt.Sprintf("%s: %s\n%s\n", netprobe.IdentityHeader, opts.identity, body)
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return closeAccepted(conn)
		}
		if err != nil {
			return fmt.Errorf("accepting: %w", err)
		}
		open.Go(func() { greet(ctx, conn, greeting) })
	}
}

// closeAccepted drops a connection that came in while the server ended.
func closeAccepted(conn net.Conn) error {
	if conn == nil {
		return nil
	}
	return conn.Close()
}

// greet says its lines, then reads what the client has to say: closing a
// connection with unread data resets it, and the client may lose the greeting.
func greet(ctx context.Context, conn net.Conn, greeting string) {
	closeNow := sync.OnceFunc(func() { _ = conn.Close() })
	defer closeNow()
	stop := context.AfterFunc(ctx, closeNow)
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(greetTimeout)); err != nil {
		return
	}
	if _, err := io.WriteString(conn, greeting); err != nil {
		return
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, maxIgnored))
}
