package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/swarm"
)

// serveOptions are the options of the role serve, the built-in server.
type serveOptions struct {
	port      uint          // 0 for any free one, for tests
	scheme    string        // http, https or tcp
	path      string        // the one path that is answered with 200
	websocket string        // the path that echoes; empty for none
	identity  string        // names this server in all its answers
	deadline  time.Duration // from the start, and from each renewal; 0 for none
	lease     bool          // exit when stdin ends
}

// body is the whole answer, without a newline: `run` prints it as it is.
const body = "foo"

// maxIdentity is far above the length of any token in use, and far below the limit of a
// header.
const maxIdentity = 128

// serveRole is the built-in server. It prints one line, "listening on ADDRESS", to stdout
// when it accepts connections, and nothing else. It returns nil when its lease, its
// deadline or ctx ends, even if connections are open.
func serveRole(ctx context.Context, args []string, std stdio) error {
	opts, err := parseServe(args, std.err)
	if err != nil {
		return err
	}
	ctx, end := lifetime(ctx, opts, std.in)
	defer end()
	opened, err := listen(ctx, opts.port)
	if err != nil {
		return err
	}
	listener := limitConnections(opened, maxConnections)
	listener.identity = opts.identity
	if _, err := fmt.Fprintf(std.out, "listening on %s\n", listener.Addr()); err != nil {
		return errors.Join(fmt.Errorf("announcing the server: %w", err), listener.Close())
	}
	if opts.scheme == string(netprobe.TCP) {
		return serveTCP(ctx, listener, opts)
	}
	return serveHTTP(ctx, listener, opts)
}

func parseServe(args []string, stderr io.Writer) (serveOptions, error) {
	var opts serveOptions
	flags := flag.NewFlagSet("nestprobe-agent serve", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // it would print the whole usage with every error
	flags.UintVar(&opts.port, "port", 4647, "`port` to listen on, on all addresses")
	flags.StringVar(&opts.scheme, "scheme", string(netprobe.HTTP), "http, https or tcp")
	flags.StringVar(&opts.path, "path", "/foo", "the `path` that is answered")
	flags.StringVar(&opts.websocket, "websocket", "/ws", "the `path` that echoes WebSocket messages; empty for none")
	flags.StringVar(&opts.identity, "identity", os.Getenv(swarm.IdentityVariable), "`token` that names this server in all its answers")
	flags.DurationVar(&opts.deadline, "deadline", 0, "exit this long after the start, and after the latest input of a lease; 0 for never")
	flags.BoolVar(&opts.lease, "lease", false, "exit when stdin ends")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(stderr)
			flags.Usage()
			return opts, err
		}
		return opts, usagef("%v", err)
	}
	if flags.NArg() > 0 {
		return opts, usagef("serve takes no arguments, got %q", flags.Arg(0))
	}
	return opts, opts.check()
}

func (o serveOptions) check() error {
	if o.port > 65535 {
		return usagef("--port is %d, above 65535", o.port)
	}
	switch netprobe.Scheme(o.scheme) {
	case netprobe.HTTP, netprobe.HTTPS, netprobe.TCP:
	default:
		return usagef("--scheme is %q, expected http, https or tcp", o.scheme)
	}
	if !strings.HasPrefix(o.path, "/") {
		return usagef("--path is %q, expected a leading slash", o.path)
	}
	if o.websocket != "" && !strings.HasPrefix(o.websocket, "/") {
		return usagef("--websocket is %q, expected a leading slash", o.websocket)
	}
	if o.websocket == o.path {
		return usagef("--path and --websocket are both %q", o.path)
	}
	if o.deadline < 0 {
		return usagef("--deadline is %s, expected a time from now", o.deadline)
	}
	return checkIdentity(o.identity)
}

// checkIdentity returns an error unless a token can be part of a header and a line
// unchanged. Without a token, another server could be taken for this one.
func checkIdentity(token string) error {
	if token == "" || len(token) > maxIdentity {
		return usagef("--identity has %d characters, expected 1 to %d", len(token), maxIdentity)
	}
	for _, r := range token {
		if r <= ' ' || r > '~' {
			return usagef("--identity contains %q, expected visible ASCII", r)
		}
	}
	return nil
}

// lifetime returns a context that ends at the deadline or with the lease, which is the
// end of stdin. The engine holds the other end of stdin for the plugin. Whatever is sent
// through it renews the deadline.
func lifetime(ctx context.Context, opts serveOptions, stdin io.Reader) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancel(ctx)
	renew := func() {}
	if opts.deadline > 0 {
		timer := time.AfterFunc(opts.deadline, end)
		renew = func() { timer.Reset(opts.deadline) }
	}
	if opts.lease {
		// A read of stdin cannot be interrupted, so the caller does not wait for this
		// goroutine: it ends with stdin or with the process. An error ends the lease too.
		go func() {
			defer end()
			buffer := make([]byte, 512)
			for {
				if _, err := stdin.Read(buffer); err != nil {
					return
				}
				renew()
			}
		}()
	}
	return ctx, end
}

// listen opens one socket for IPv4 and IPv6. If the kernel has IPv6 disabled, package net
// opens one for IPv4.
func listen(ctx context.Context, port uint) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return nil, fmt.Errorf("listening on port %d: %w", port, err)
	}
	return listener, nil
}
