package netprobe_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// greets is a server that sends first, in parts, and keeps the connection open.
func greets(parts ...string) func(net.Conn) {
	return func(conn net.Conn) {
		for _, part := range parts {
			_, _ = io.WriteString(conn, part)
			time.Sleep(time.Millisecond) // so that the parts are separate packets
		}
	}
}

func TestTCP(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	for name, test := range map[string]struct {
		server func(net.Conn)
		target netprobe.Target
		opts   netprobe.Options
		want   want
	}{
		"silent and open": {
			server: func(net.Conn) {},
			opts:   netprobe.Options{Settle: shortTimeout},
			want:   want{failure: netprobe.Silent, phase: request, detail: "accepted and kept open"},
		},
		"speaks": {
			server: greets("220 ready\r\n"),
			want:   want{phase: answer, body: "220 ready\n", detail: `the server sent "220 ready\r\n"`},
		},
		"speaks and closes": {
			server: func(conn net.Conn) { greets("bye")(conn); _ = conn.Close() },
			want:   want{phase: answer, body: "bye"},
		},
		"refuses in words, then closes": {
			server: func(conn net.Conn) { greets("-DENIED protected mode\r\n")(conn); _ = conn.Close() },
			want: want{failure: netprobe.Denied, phase: answer, body: "-DENIED protected mode\n",
				detail: `refuses to serve this client: "-DENIED protected mode`},
		},
		"a refusal that is expected": {
			server: greets("-DENIED protected mode\r\n"),
			target: netprobe.Target{Expect: netprobe.Expect{Body: "DENIED"}},
			want:   want{phase: answer, body: "-DENIED protected mode\n"},
		},
		"closes": {
			server: func(conn net.Conn) { _ = conn.Close() },
			want:   want{failure: netprobe.ClosedWithoutResponse, phase: request, detail: "closed without a response"},
		},
		"less time than it takes to settle": {
			server: func(net.Conn) {},
			opts:   netprobe.Options{Timeout: shortTimeout, Settle: 2 * shortTimeout},
			want:   want{failure: netprobe.NoResponse, phase: request, detail: "not watched long enough"},
		},
		"identity in parts": {
			server: greets("hello ", identity[:3], identity[3:], " more"),
			target: netprobe.Target{Identity: identity},
			opts:   netprobe.Options{Settle: longTimeout},
			want:   want{phase: answer, identity: verified, body: "hello " + identity},
		},
		"silent, but an identity is expected": {
			server: func(net.Conn) {},
			target: netprobe.Target{Identity: identity},
			opts:   netprobe.Options{Timeout: shortTimeout, Settle: time.Millisecond},
			want:   want{failure: netprobe.NoResponse, phase: request, detail: "no response within 250ms"},
		},
		"another identity": {
			server: greets("other"),
			target: netprobe.Target{Identity: identity},
			opts:   netprobe.Options{Settle: shortTimeout},
			want: want{failure: netprobe.WrongServer, phase: answer, body: "other", identity: mismatch,
				detail: `its first bytes are "other"`},
		},
		"another identity, then closed": {
			server: func(conn net.Conn) { greets("other")(conn); _ = conn.Close() },
			target: netprobe.Target{Identity: identity},
			opts:   netprobe.Options{Settle: longTimeout},
			want:   want{failure: netprobe.WrongServer, phase: answer, body: "other", identity: mismatch},
		},
		"says the expected": {
			server: greets("220 ", "ready"),
			target: netprobe.Target{Expect: netprobe.Expect{Body: "ready"}},
			opts:   netprobe.Options{Settle: longTimeout},
			want:   want{phase: answer, body: "220 ready"},
		},
		"says something else": {
			server: greets("\x1b[31m421 busy"),
			target: netprobe.Target{Expect: netprobe.Expect{Body: "ready"}},
			opts:   netprobe.Options{Settle: shortTimeout},
			want: want{failure: netprobe.UnexpectedBody, phase: answer, body: `\x1b[31m421 busy`,
				detail: `"\x1b[31m421 busy"`},
		},
		"speaks without end": {
			server: repeat(long),
			target: netprobe.Target{Identity: identity},
			opts:   netprobe.Options{Settle: longTimeout, BodyLimit: 10},
			want:   want{failure: netprobe.WrongServer, phase: answer, body: "xxxxxxxxxx…", identity: mismatch},
		},
		"a WebSocket is not for TCP": {
			server: greets("hello"),
			target: netprobe.Target{WebSocket: "/ws"},
			want:   want{phase: answer, body: "hello"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.target.Scheme = netprobe.TCP
			test.target.Address = serve(t, "tcp4", test.server)
			if test.opts.Timeout == 0 {
				test.opts.Timeout = 2 * longTimeout
			}
			if test.opts.Settle == 0 {
				test.opts.Settle = longTimeout
			}
			check(t, probe(t, test.target, test.opts), test.want)
		})
	}
}

// cancelOn returns a context, and a server that cancels it.
func cancelOn(t *testing.T) (context.Context, func(net.Conn)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return ctx, func(net.Conn) { cancel() }
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		scheme netprobe.Scheme
		first  func(net.Conn)
		phase  netprobe.Phase
	}{
		"waiting for a header": {scheme: netprobe.HTTP, first: saysAndStays(""), phase: request},
		"waiting for a body": {
			scheme: netprobe.HTTP, first: saysAndStays("HTTP/1.1 200 OK\r\n\r\nfoo"), phase: answer,
		},
		"in the TLS handshake":  {scheme: netprobe.HTTPS, first: func(net.Conn) {}, phase: netprobe.PhaseTLS},
		"waiting for a TCP end": {scheme: netprobe.TCP, first: func(net.Conn) {}, phase: request},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := cancelOn(t)
			address := serve(t, "tcp4", func(conn net.Conn) { test.first(conn); cancel(conn) })
			got := netprobe.Probe(ctx, netprobe.Target{Scheme: test.scheme, Address: address},
				netprobe.Options{Timeout: longTimeout, Settle: longTimeout})
			if got.Failure != netprobe.Cancelled || got.OK {
				t.Errorf("%+v", got)
			}
			if got.Err != context.Canceled { //nolint:errorlint // documented to be the context's own error
				t.Errorf("error is %v", got.Err)
			}
		})
	}
}

// TestCancelledButKnown: a cancellation does not hide a failure that is known.
func TestCancelledButKnown(t *testing.T) {
	t.Parallel()
	ctx, cancel := cancelOn(t)
	address := serve(t, "tcp4", func(conn net.Conn) {
		cancel(conn)
		says("HTTP/1.1 200 OK\r\n\r\n")(conn)
	})
	got := netprobe.Probe(ctx, netprobe.Target{Address: address}, netprobe.Options{Timeout: longTimeout})
	if got.Failure != netprobe.Cancelled && !got.OK {
		t.Errorf("%+v", got)
	}
}

func TestContextBeforeTheStart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	got := netprobe.Probe(ctx, netprobe.Target{Address: "127.0.0.1:1"}, netprobe.Options{})
	check(t, got, want{failure: netprobe.Cancelled, phase: netprobe.PhaseResolve, detail: "before it began"})
	if got.Err != context.Canceled || len(got.Tried) != 0 { //nolint:errorlint // documented to be the context's own error
		t.Errorf("%+v", got)
	}
}

// TestContextDeadline: a deadline of the caller is a bound like the timeout.
func TestContextDeadline(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), shortTimeout)
	defer cancel()
	address := serve(t, "tcp4", saysAndStays(""))
	got := netprobe.Probe(ctx, netprobe.Target{Address: address}, netprobe.Options{Timeout: longTimeout})
	check(t, got, want{failure: netprobe.NoResponse, phase: request})
}
