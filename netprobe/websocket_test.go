package netprobe_test

import (
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// raw is a handler that takes over the connection. It is closed when the client has
// closed its side.
func raw(do func(net.Conn, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		do(conn, r)
		_, _ = io.Copy(io.Discard, conn)
	}
}

// afterUpgrade is a handler that switches to WebSocket, sends frames without waiting
// for the client, and then calls a function.
func afterUpgrade(frames string, then func(net.Conn)) http.HandlerFunc {
	return raw(func(conn net.Conn, r *http.Request) {
		_, _ = io.WriteString(conn, switching(r)+frames)
		then(conn)
	})
}

// switching is the response that accepts a WebSocket (RFC 6455, section 4.2.2).
func switching(r *http.Request) string {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
}

func stay(net.Conn) {}

// hangUp closes once the client has sent something, so that the end is no reset.
func hangUp(conn net.Conn) {
	_, _ = conn.Read(make([]byte, 100))
	_ = conn.Close()
}

// repeat sends frames until the client closes.
func repeat(frames string) func(net.Conn) {
	return func(conn net.Conn) {
		var err error
		for err == nil {
			_, err = io.WriteString(conn, frames)
		}
	}
}

// text is an unmasked, whole text frame of a server.
func text(payload string) string { return "\x81" + string(rune(len(payload))) + payload }

func TestWebSocket(t *testing.T) {
	t.Parallel()
	failed := netprobe.WebSocketFailed
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		target  netprobe.Target
		opts    netprobe.Options
		want    want
	}{
		"echoes": {
			handler: named(echo),
			want:    want{websocket: netprobe.WebSocketOK, detail: "answered 200, WebSocket echoed"},
		},
		"echoes, and is the right server": {
			handler: named(echo),
			target:  netprobe.Target{Identity: identity},
			want:    want{websocket: netprobe.WebSocketOK, identity: verified},
		},
		"not there": {
			handler: http.NotFound,
			want: want{failure: netprobe.WebSocketRefused, websocket: failed,
				detail: "WebSocket refused: answered 404, expected 101"},
		},
		"redirects": {
			handler: http.RedirectHandler("/elsewhere", http.StatusFound).ServeHTTP,
			want:    want{failure: netprobe.WebSocketRefused, websocket: failed, detail: "answered 302, expected 101"},
		},
		"redirects nowhere": {
			handler: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://%zz")
				w.WriteHeader(http.StatusFound)
			},
			want: want{failure: netprobe.WebSocketRefused, websocket: failed, detail: "answered 302, expected 101"},
		},
		"answers as if it were a page": {
			handler: func(http.ResponseWriter, *http.Request) {},
			want:    want{failure: netprobe.WebSocketRefused, websocket: failed, detail: "answered 200, expected 101"},
		},
		"refuses with an endless body": {
			handler: func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusForbidden)
				for {
					if _, err := w.Write(make([]byte, 1000)); err != nil {
						return
					}
				}
			},
			want: want{failure: netprobe.WebSocketRefused, websocket: failed, detail: "answered 403"},
		},
		"does not answer the key": {
			handler: raw(func(conn net.Conn, _ *http.Request) { _, _ = io.WriteString(conn, switching(&http.Request{})) }),
			want:    want{failure: netprobe.WebSocketRefused, websocket: failed, detail: "breaks its protocol"},
		},
		"other server": {
			handler: echo,
			target:  netprobe.Target{Identity: identity},
			want:    want{failure: netprobe.WrongServer, websocket: failed, identity: mismatch, detail: "another server"},
		},
		"other server refuses": {
			handler: http.NotFound,
			target:  netprobe.Target{Identity: identity},
			want:    want{failure: netprobe.WrongServer, websocket: failed, identity: mismatch},
		},
		"closes before an answer": {
			handler: raw(func(conn net.Conn, _ *http.Request) { _ = conn.Close() }),
			want: want{failure: netprobe.ClosedWithoutResponse, websocket: failed,
				detail: "closed without a response"},
		},
		"is silent": {
			handler: raw(func(net.Conn, *http.Request) {}),
			opts:    netprobe.Options{Timeout: 4 * shortTimeout},
			want:    want{failure: netprobe.NoResponse, websocket: failed, detail: "no response within 1s"},
		},
		"is not HTTP": {
			handler: raw(func(conn net.Conn, _ *http.Request) { _, _ = io.WriteString(conn, "+PONG\r\n") }),
			want:    want{failure: netprobe.NotHTTP, websocket: failed, detail: `begins with "+PONG\r\n"`},
		},
		"no echo": {
			handler: afterUpgrade("", stay),
			opts:    netprobe.Options{Timeout: 4 * shortTimeout},
			want:    want{failure: netprobe.NoResponse, websocket: failed, detail: "no echo within 1s"},
		},
		"closed without an echo": {
			handler: afterUpgrade("", hangUp),
			want: want{failure: netprobe.ClosedWithoutResponse, websocket: failed,
				detail: "WebSocket open, then closed without an echo"},
		},
		"closed within a frame": {
			handler: afterUpgrade("\x81\x05ab", hangUp),
			want:    want{failure: netprobe.ClosedWithoutResponse, websocket: failed},
		},
		"closed between fragments of the echo": {
			handler: afterUpgrade("\x01\x1bnestprobe: please echo this", hangUp),
			want:    want{failure: netprobe.ClosedWithoutResponse, websocket: failed},
		},
		"closed with a reason": {
			handler: afterUpgrade("\x88\x07\x03\xf0no\x1bno", stay),
			want: want{failure: netprobe.ClosedWithoutResponse, websocket: failed,
				detail: `status 1008 "no\x1bno"`},
		},
		"wrong echo": {
			handler: afterUpgrade(text("hello\x1b[1m"), stay),
			want:    want{failure: netprobe.UnexpectedBody, websocket: failed, detail: `"hello\x1b[1m"`},
		},
		"empty echo": {
			handler: afterUpgrade(text(""), stay),
			want:    want{failure: netprobe.UnexpectedBody, websocket: failed, detail: `(empty)`},
		},
		"huge echo": {
			handler: afterUpgrade("\x81\x7f\x00\x00\x01\x00\x00\x00\x00\x00"+strings.Repeat("x", 1<<14), stay),
			want:    want{failure: netprobe.UnexpectedBody, websocket: failed, detail: "a long one"},
		},
		"reserved bits": {
			handler: afterUpgrade("\xf1\x01a", stay),
			want:    want{failure: netprobe.WebSocketRefused, websocket: failed, detail: "breaks the WebSocket protocol"},
		},
		"unknown kind of frame": {
			handler: afterUpgrade("\x83\x01a", stay),
			want:    want{failure: netprobe.WebSocketRefused, websocket: failed},
		},
		"long ping": {
			handler: afterUpgrade("\x89\x7e\x01\x00", stay),
			want:    want{failure: netprobe.WebSocketRefused, websocket: failed},
		},
		"pings without end": {
			handler: afterUpgrade("", repeat("\x89\x01a")),
			want:    want{failure: netprobe.WebSocketRefused, websocket: failed, detail: "sends many frames, but no echo"},
		},
		"fragments without end": {
			handler: afterUpgrade("\x01\x01a", repeat("\x00\x00")),
			want:    want{failure: netprobe.WebSocketRefused, websocket: failed, detail: "sends many frames, but no echo"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set(netprobe.IdentityHeader, identity)
			})
			mux.HandleFunc("/ws", test.handler)
			test.target.Address = webServer(t, mux)
			test.target.WebSocket = "/ws"
			if test.opts.Timeout == 0 {
				test.opts.Timeout = longTimeout
			}
			test.want.phase, test.want.status = webSocket, 200
			check(t, probe(t, test.target, test.opts), test.want)
		})
	}
}

// TestWebSocketConnection: the separate connection of a WebSocket fails in its own
// phase.
func TestWebSocketConnection(t *testing.T) {
	t.Parallel()
	listener := listen(t, "tcp4", "127.0.0.1:0")
	serveOn(t, listener, func(conn net.Conn) {
		_ = listener.Close()
		says("HTTP/1.1 200 OK\r\n\r\nfoo")(conn)
	})
	target := netprobe.Target{Address: listener.Addr().String(), WebSocket: "/ws"}
	check(t, probe(t, target, netprobe.Options{Timeout: longTimeout}), want{
		failure: netprobe.Refused, phase: webSocket, status: 200, body: "foo",
		websocket: netprobe.WebSocketFailed, detail: "connection refused",
	})
}

func TestWebSocketAfterAGoodAnswerOnly(t *testing.T) {
	t.Parallel()
	var requested atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(http.ResponseWriter, *http.Request) { requested.Store(true) })
	target := netprobe.Target{Address: webServer(t, mux), WebSocket: "/ws"}
	check(t, probe(t, target, netprobe.Options{Timeout: longTimeout}), want{
		failure: netprobe.UnexpectedStatus, phase: answer, status: 404, body: "404 page not found\n",
	})
	if requested.Load() {
		t.Error("the WebSocket was requested")
	}
}

// TestWebSocketClose checks that the server sees a normal close.
func TestWebSocketClose(t *testing.T) {
	t.Parallel()
	end := make(chan error, 1)
	address := webServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws" {
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			end <- err
			return
		}
		defer func() { _ = conn.CloseNow() }()
		kind, message, err := conn.Read(r.Context())
		if err == nil {
			err = conn.Write(r.Context(), kind, message)
		}
		if err == nil {
			_, _, err = conn.Read(r.Context())
		}
		end <- err
	}))
	got := probe(t, netprobe.Target{Address: address, WebSocket: "/ws"}, netprobe.Options{Timeout: longTimeout})
	if !got.OK {
		t.Fatal(got)
	}
	if err := <-end; websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Error("the server saw", err)
	}
}

// With the status of a WebSocket, its own request is the only one.
func TestOnlyWebSocket(t *testing.T) {
	t.Parallel()
	var ordinary atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			ordinary.Add(1)
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		kind, message, err := conn.Read(r.Context())
		if err == nil {
			_ = conn.Write(r.Context(), kind, message)
		}
	})
	target := netprobe.Target{Address: webServer(t, mux), Path: "/ws", WebSocket: "/ws", Expect: netprobe.Expect{Status: http.StatusSwitchingProtocols}}
	result := probe(t, target, netprobe.Options{Timeout: longTimeout})
	if !result.OK || result.Status != http.StatusSwitchingProtocols || ordinary.Load() != 0 {
		t.Errorf("%+v, %d ordinary requests", result, ordinary.Load())
	}
	target.Expect.Status = 0
	if result = probe(t, target, netprobe.Options{Timeout: longTimeout}); result.Failure != netprobe.UnexpectedStatus {
		t.Errorf("%+v", result)
	}
}
