package netprobe_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// Send a request over HTTP, and see the response.
func ExampleProbe() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, "foo")
	}))
	target := netprobe.Target{
		Scheme:  netprobe.HTTP,
		Address: server.Listener.Addr().String(),
		Path:    "/foo",
		Expect:  netprobe.Expect{Status: http.StatusOK, Body: "foo"},
	}
	result := netprobe.Probe(context.Background(), target, netprobe.Options{})
	fmt.Println(result.OK, result.Status, result.Body)

	server.Close()
	result = netprobe.Probe(context.Background(), target, netprobe.Options{})
	fmt.Println(result.OK, result.Phase, result.Failure, result.Failure.Retryable())
	// Output:
	// true 200 foo
	// false connect refused true
}

// The server that answers on a port need not be the expected one.
func ExampleProbe_identity() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(netprobe.IdentityHeader, "container-1")
	}))
	defer server.Close()
	for _, meant := range []string{"container-1", "container-2"} {
		target := netprobe.Target{Address: server.Listener.Addr().String(), Identity: meant}
		result := netprobe.Probe(context.Background(), target, netprobe.Options{})
		fmt.Printf("%v %d %s %q\n", result.OK, result.Status, result.Identity, result.Failure)
		fmt.Println(result.Detail)
	}
	// Output:
	// true 200 verified ""
	// answered 200
	// false 200 mismatch "wrong-server"
	// another server answered: its identity is "container-1"
}

// Expect the echo of one WebSocket message after a good response.
func ExampleProbe_webSocket() {
	mux := http.NewServeMux()
	mux.HandleFunc("/foo", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "foo") })
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		if kind, message, err := conn.Read(r.Context()); err == nil {
			_ = conn.Write(r.Context(), kind, message)
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, path := range []string{"/ws", "/foo"} {
		target := netprobe.Target{Address: server.Listener.Addr().String(), Path: "/foo", WebSocket: path}
		result := netprobe.Probe(context.Background(), target, netprobe.Options{})
		fmt.Printf("%v %d %s %q\n", result.OK, result.Status, result.WebSocket, result.Failure)
	}
	// Output:
	// true 200 ok ""
	// false 200 failed "websocket-refused"
}

// A race tries all addresses at once. The server is not ready at first, and nothing
// listens on port 1: the race ends soon after the first answer.
func ExampleRace() {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	race := netprobe.Race{
		Attempts: []netprobe.Attempt{
			{Target: netprobe.Target{Address: "127.0.0.1:1"}},
			{Target: netprobe.Target{Address: server.Listener.Addr().String()}},
		},
		Wait:    10 * time.Second,
		Options: netprobe.Options{UserAgent: "example"},
	}
	results := race.Run(context.Background())
	fmt.Printf("%v %q, more than one attempt: %v\n", results[0].OK, results[0].Failure, results[0].Attempts > 1)
	fmt.Printf("%v %d, attempts: %d\n", results[1].OK, results[1].Status, results[1].Attempts)
	// Output:
	// false "refused", more than one attempt: true
	// true 200, attempts: 3
}

// DialContext probes through whatever can connect, such as a tunnel.
func ExampleOptions_dialContext() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Host)
	}))
	defer server.Close()
	tunnel := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	target := netprobe.Target{Address: "192.0.2.1:80"}
	result := netprobe.Probe(context.Background(), target, netprobe.Options{DialContext: tunnel})
	fmt.Println(result.OK, result.Body)
	// Output:
	// true 192.0.2.1:80
}

// Over plain TCP an established connection proves nothing: the server has to send
// something, or at least to keep the connection open.
func ExampleProbe_tcp() {
	for _, serve := range []func(net.Conn){
		func(conn net.Conn) { _, _ = io.WriteString(conn, "220 ready\r\n") },
		func(conn net.Conn) { _ = conn.Close() },
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fmt.Println(err)
			return
		}
		go func() {
			if conn, err := listener.Accept(); err == nil {
				serve(conn)
			}
		}()
		target := netprobe.Target{Scheme: netprobe.TCP, Address: listener.Addr().String()}
		result := netprobe.Probe(context.Background(), target, netprobe.Options{})
		fmt.Printf("%v %s %q %q\n", result.OK, result.Phase, result.Body, result.Failure)
		_ = listener.Close()
	}
	// Output:
	// true answer "220 ready\n" ""
	// false request "" "closed-without-response"
}

// Text that a server sent can be printed without harm to the terminal.
func ExampleVisible() {
	fmt.Println(netprobe.Visible("\x1b[31mred\x07\n", 80))
	fmt.Println(netprobe.Visible("a very long answer", 10))
	// Output:
	// \x1b[31mred\x07\n
	// a very …
}
