package netprobe_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

const identity = "4f1c0a7e"

// longTimeout is the timeout of probes that get an answer. No test waits for its
// end; it guards against hanging on a busy machine.
const longTimeout = 20 * time.Second

// shortTimeout is the timeout of probes that get none. It leaves time for the steps
// before on a busy machine.
const shortTimeout = 250 * time.Millisecond

// serve listens on a loopback address and gives every connection to handle, which
// need not close it. What it starts ends with the test.
func serve(tb testing.TB, network string, handle func(net.Conn)) string {
	tb.Helper()
	address := "127.0.0.1:0"
	if network == "tcp6" {
		address = "[::1]:0"
	}
	listener := listen(tb, network, address)
	serveOn(tb, listener, handle)
	return listener.Addr().String()
}

func listen(tb testing.TB, network, address string) net.Listener {
	tb.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = listener.Close() })
	return listener
}

func serveOn(tb testing.TB, listener net.Listener, handle func(net.Conn)) {
	tb.Helper()
	var (
		mu    sync.Mutex
		done  bool
		conns []net.Conn
		wg    sync.WaitGroup
	)
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			if done {
				_ = conn.Close()
			}
			mu.Unlock()
			wg.Go(func() { handle(conn) })
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		done = true
		for _, conn := range conns {
			_ = conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

// readRequest reads a request header, so that closing afterwards is an orderly
// end and not a reset.
func readRequest(conn net.Conn) {
	_, _ = http.ReadRequest(bufio.NewReader(conn)) // a client that has closed is fine
}

// says is a server that reads the request, sends text and closes.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		_, _ = conn.Write([]byte(text))
		_ = conn.Close()
	}
}

// saysAndStays is a server that sends text, and then nothing.
func saysAndStays(text string) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		_, _ = conn.Write([]byte(text))
	}
}

// trickles is a server that sends text, and then more, a bit at a time, until the
// connection is closed.
func trickles(text, more string) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		_, err := conn.Write([]byte(text))
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for err == nil {
			<-tick.C
			_, err = conn.Write([]byte(more))
		}
	}
}

// floods is a server that sends text, and then more as fast as it is read.
func floods(text, more string) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		_, err := conn.Write([]byte(text))
		for err == nil {
			_, err = conn.Write([]byte(more))
		}
	}
}

// resets is a server that makes the kernel send a reset.
func resets(before func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		before(conn)
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

// builtin is a server like the built-in one: /foo, /ws, and its identity in every
// response.
func builtin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /foo", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("foo")) })
	mux.HandleFunc("/ws", echo)
	return named(mux.ServeHTTP)
}

func named(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(netprobe.IdentityHeader, identity)
		next(w, r)
	}
}

// echo sends every message back until the client closes.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}

// webServer serves handler and returns its address.
func webServer(tb testing.TB, handler http.Handler) string {
	tb.Helper()
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// want is what a Result must show. Detail is a part of Result.Detail.
type want struct {
	failure   netprobe.Failure
	phase     netprobe.Phase
	status    int
	body      string
	identity  netprobe.Identity
	websocket netprobe.WebSocket
	detail    string
}

func check(t *testing.T, got netprobe.Result, w want) {
	t.Helper()
	if w.identity == "" {
		w.identity = netprobe.IdentityUnverified
	}
	if w.websocket == "" {
		w.websocket = netprobe.WebSocketSkipped
	}
	checkOutcome(t, got, w)
	if got.Status != w.status || got.Body != w.body || got.Identity != w.identity || got.WebSocket != w.websocket {
		t.Errorf("status %d body %q identity %q websocket %q,\nwant %d %q %q %q",
			got.Status, got.Body, got.Identity, got.WebSocket, w.status, w.body, w.identity, w.websocket)
	}
}

// checkOutcome compares the phase that a probe reached, and its failure.
func checkOutcome(t *testing.T, got netprobe.Result, w want) {
	t.Helper()
	if got.OK != (w.failure == "") {
		t.Errorf("OK is %v with failure %q", got.OK, got.Failure)
	}
	if got.Failure != w.failure || got.Phase != w.phase {
		t.Errorf("failure %q in phase %q, want %q in %q (%s; %v)",
			got.Failure, got.Phase, w.failure, w.phase, got.Detail, got.Err)
	}
	if !contains(got.Detail, w.detail) {
		t.Errorf("detail %q lacks %q", got.Detail, w.detail)
	}
	checkSafe(t, got)
}

// probe probes with the context of the test.
func probe(tb testing.TB, target netprobe.Target, opts netprobe.Options) netprobe.Result {
	tb.Helper()
	return netprobe.Probe(context.WithoutCancel(tb.Context()), target, opts)
}
