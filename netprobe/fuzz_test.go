package netprobe_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// hostile is a server that sends the bytes of a fuzzer, then closes its side.
type hostile struct {
	address string
	bytes   atomic.Pointer[[]byte]
}

// newHostile starts one. prelude returns what is sent before the fuzzer's bytes,
// given the request; nil is for a server that sends first.
func newHostile(f *testing.F, prelude func(*http.Request) (text string, more bool)) *hostile {
	f.Helper()
	listener := listen(f, "tcp4", "127.0.0.1:0")
	h := &hostile{address: listener.Addr().String()}
	var wg sync.WaitGroup
	f.Cleanup(func() { _ = listener.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			h.handle(conn, prelude)
		}
	})
	return h
}

func (h *hostile) handle(conn net.Conn, prelude func(*http.Request) (string, bool)) {
	defer func() { _ = conn.Close() }()
	more := true
	if prelude != nil {
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		var text string
		text, more = prelude(req)
		_, _ = io.WriteString(conn, text)
	}
	if more {
		_, _ = conn.Write(*h.bytes.Load())
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, conn) // until the probe has closed its side
}

// attack probes the server while it sends b, and checks what must always hold.
func (h *hostile) attack(t *testing.T, b []byte, target netprobe.Target) netprobe.Result {
	t.Helper()
	const limit = 1000
	h.bytes.Store(&b)
	target.Address = h.address
	got := probe(t, target, netprobe.Options{Timeout: longTimeout, Settle: longTimeout, BodyLimit: limit})
	checkSafe(t, got)
	if len(got.Body) > 4*limit+len("…") {
		t.Errorf("body of %d bytes", len(got.Body))
	}
	if got.OK != (got.Failure == "") || (got.WebSocket == netprobe.WebSocketFailed && got.OK) {
		t.Errorf("%+v", got)
	}
	switch got.Failure { // the server accepts, sends, and closes: none of these is possible
	case netprobe.Refused, netprobe.Unreachable, netprobe.ConnectTimeout, netprobe.NoResponse,
		netprobe.StalledBody, netprobe.Cancelled, netprobe.NotProbed:
		t.Errorf("%q: %s (%v)", got.Failure, got.Detail, got.Err)
	}
	return got
}

func FuzzHTTP(f *testing.F) {
	for _, seed := range []string{
		"", "H", "HTTP/1.1 200 OK\r\n\r\nfoo", "HTTP/1.0 404\r\n\r\n", "HTTP/1.1 200 OK\nA: b\n\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nfoo\x1b[2J", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfoo\r\n0\r\nTrailer: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: \u202e\r\n\r\n", "HTTP/1.1 099 Odd\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + netprobe.IdentityHeader + ": " + identity + "\r\n\r\n\xff\xfe",
		"\x15\x03\x01\x00\x02\x02\x28", "SSH-2.0-x\r\n", strings.Repeat("HTTP/1.1 100 C\r\n\r\n", 5000),
	} {
		f.Add([]byte(seed), "")
		f.Add([]byte(seed), identity)
	}
	server := newHostile(f, func(*http.Request) (string, bool) { return "", true })
	f.Fuzz(func(t *testing.T, b []byte, who string) {
		got := server.attack(t, b, netprobe.Target{Identity: who})
		if who != "" && got.OK && !strings.Contains(string(b), who) {
			t.Errorf("taken for %q", who)
		}
	})
}

func FuzzWebSocket(f *testing.F) {
	for _, seed := range []string{
		"", "\x81", text("nestprobe: please echo this"), text(""), "\x88\x00", "\x88\x02\x03\xe8", "\x88\x01a",
		"\x89\x00" + text("x"), "\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
		"\x81\x85abcdefghi", "\xc1\x01a", "\x01\x01a\x80\x01b", "\x00\x01a", "\x01\x01a\x81\x01b", "\x09\x00", "\x8a\x03abc",
		"\x01\x1bnestprobe: please echo this", strings.Repeat("\x89\x00", 5000),
	} {
		f.Add([]byte(seed))
	}
	server := newHostile(f, func(r *http.Request) (string, bool) {
		if r.URL.Path != "/ws" {
			return "HTTP/1.1 200 OK\r\n\r\nfoo", false
		}
		return switching(r), true
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		got := server.attack(t, b, netprobe.Target{WebSocket: "/ws"})
		if got.Phase != webSocket || got.Body != "foo" || got.WebSocket == netprobe.WebSocketSkipped {
			t.Errorf("%+v", got)
		}
	})
}

func FuzzTCP(f *testing.F) {
	for _, seed := range []string{"", "x", "220 ready\r\n", "\x1b]0;title\x07", identity, "\xff" + identity + "\u202e", strings.Repeat("x", 3000)} {
		f.Add([]byte(seed), "")
		f.Add([]byte(seed), identity)
	}
	server := newHostile(f, nil)
	f.Fuzz(func(t *testing.T, b []byte, who string) {
		got := server.attack(t, b, netprobe.Target{Scheme: netprobe.TCP, Identity: who})
		named := strings.Contains(string(b[:min(len(b), 1000)]), who)
		if want := len(b) > 0 && named; got.OK != want && len(b) <= 1000 {
			t.Errorf("OK is %v for %q from %q", got.OK, who, b)
		}
	})
}
