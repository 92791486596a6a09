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

// maxIgnored is how many bytes are read from a client, although the server only sends a
// greeting.
const maxIgnored = 64 << 10

// serveTCP sends a greeting over each connection until ctx ends. Then it returns nil
// immediately. The greeting has two lines: the identity in the form of the HTTP header,
// and the body.
func serveTCP(ctx context.Context, listener net.Listener, opts serveOptions) error {
	greeting := fmt.Sprintf("%s: %s\n%s\n", netprobe.IdentityHeader, opts.identity, body)
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting: %w", err)
		}
		open.Go(func() { greet(ctx, conn, greeting) })
	}
}

// greet sends the greeting, then reads what the client sends: closing a connection with
// unread data resets it, and the client may lose the greeting.
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
