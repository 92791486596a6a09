package netprobe_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// checkSafe checks what holds for every Result: it can be printed.
func checkSafe(tb testing.TB, got netprobe.Result) {
	tb.Helper()
	for name, s := range map[string]string{"detail": got.Detail, "body": got.Body} {
		if name == "body" {
			s = strings.NewReplacer("\n", "", "\t", "").Replace(s)
		}
		if i := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			tb.Errorf("%s has something invisible at %d: %q", name, i, s)
		}
	}
	if got.Detail == "" || len(got.Detail) > netprobe.DetailLimit {
		tb.Errorf("detail of %d bytes: %q", len(got.Detail), got.Detail)
	}
}

const (
	request   = netprobe.PhaseRequest
	answer    = netprobe.PhaseAnswer
	webSocket = netprobe.PhaseWebSocket
	mismatch  = netprobe.IdentityMismatch
	verified  = netprobe.IdentityVerified
)

func TestHTTPAnswers(t *testing.T) {
	t.Parallel()
	head := "HTTP/1.1 200 OK\r\n"
	me := netprobe.IdentityHeader + ": " + identity + "\r\n"
	long := strings.Repeat("x", 100)
	for name, test := range map[string]struct {
		server func(net.Conn)
		target netprobe.Target
		opts   netprobe.Options
		want   want
	}{
		"good": {
			server: says(head + "Content-Length: 3\r\n\r\nfoo"),
			want:   want{phase: answer, status: 200, body: "foo", detail: "answered 200"},
		},
		"good and kept open": {
			server: saysAndStays(head + "Content-Length: 3\r\n\r\nfoo"),
			want:   want{phase: answer, status: 200, body: "foo"},
		},
		"good, chunked": {
			server: saysAndStays(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nfoo\r\n0\r\n\r\n"),
			want:   want{phase: answer, status: 200, body: "foo"},
		},
		"good until the end": {
			server: says(head + "\r\nfoo"),
			want:   want{phase: answer, status: 200, body: "foo"},
		},
		"good after interim responses": {
			server: says("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + head + "\r\nfoo"),
			want:   want{phase: answer, status: 200, body: "foo"},
		},
		"expected status and body": {
			server: says("HTTP/1.1 404 Not Found\r\n\r\nno such page"),
			target: netprobe.Target{Expect: netprobe.Expect{Status: 404, Body: "such"}},
			want:   want{phase: answer, status: 404, body: "no such page"},
		},
		"unexpected status": {
			server: says("HTTP/1.1 503 Busy\r\n\r\nlater"),
			want: want{failure: netprobe.UnexpectedStatus, phase: answer, status: 503, body: "later",
				detail: "answered 503, expected 200"},
		},
		"redirect": {
			server: says("HTTP/1.1 302 Found\r\nLocation: http://10.231.9.9/\u202e\r\n\r\n"),
			want: want{failure: netprobe.UnexpectedStatus, phase: answer, status: 302,
				detail: `answered 302 (redirect to "http://10.231.9.9/\u202e", not followed), expected 200`},
		},
		"switched without a request": {
			server: saysAndStays("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
			want:   want{failure: netprobe.UnexpectedStatus, phase: answer, status: 101},
		},
		"unexpected body": {
			server: says(head + "\r\nbar\x1b[2J"),
			target: netprobe.Target{Expect: netprobe.Expect{Body: "foo"}},
			want: want{failure: netprobe.UnexpectedBody, phase: answer, status: 200, body: `bar\x1b[2J`,
				detail: `is not in the body, which is "bar\x1b[2J"`},
		},
		"empty body": {
			server: says(head + "Content-Length: 0\r\n\r\n"),
			target: netprobe.Target{Expect: netprobe.Expect{Body: "foo"}},
			want:   want{failure: netprobe.UnexpectedBody, phase: answer, status: 200, detail: "(empty)"},
		},
		"larger than the limit": {
			server: says(head + "\r\n" + long),
			opts:   netprobe.Options{BodyLimit: 10},
			want:   want{phase: answer, status: 200, body: "xxxxxxxxxx…"},
		},
		"as large as the limit": {
			server: says(head + "\r\n" + long),
			opts:   netprobe.Options{BodyLimit: 100},
			want:   want{phase: answer, status: 200, body: long},
		},
		"text expected beyond the limit": {
			server: says(head + "\r\n" + long + "foo"),
			target: netprobe.Target{Expect: netprobe.Expect{Body: "foo"}},
			opts:   netprobe.Options{BodyLimit: 10},
			want:   want{failure: netprobe.UnexpectedBody, phase: answer, status: 200, body: "xxxxxxxxxx…"},
		},
		"endless body": {
			server: floods(head+"\r\n", long),
			opts:   netprobe.Options{BodyLimit: 10},
			want:   want{phase: answer, status: 200, body: "xxxxxxxxxx…"},
		},
		"endless chunked body": {
			server: floods(head+"Transfer-Encoding: chunked\r\n\r\n", "64\r\n"+long+"\r\n"),
			opts:   netprobe.Options{BodyLimit: 10},
			want:   want{phase: answer, status: 200, body: "xxxxxxxxxx…"},
		},
		"truncated body": {
			server: says(head + "Content-Length: 10\r\n\r\nfoo"),
			want:   want{failure: netprobe.TruncatedBody, phase: answer, status: 200, body: "foo"},
		},
		"truncated chunk": {
			server: says(head + "Transfer-Encoding: chunked\r\n\r\n5\r\nfoo"),
			want:   want{failure: netprobe.TruncatedBody, phase: answer, status: 200, body: "foo"},
		},
		"broken chunk": {
			server: saysAndStays(head + "Transfer-Encoding: chunked\r\n\r\nfoo\r\n"),
			want:   want{failure: netprobe.NotHTTP, phase: answer, status: 200, detail: "encoding of the body is not valid"},
		},
		"stalled body": {
			server: saysAndStays(head + "Content-Length: 10\r\n\r\nfoo"),
			opts:   netprobe.Options{Timeout: shortTimeout},
			want:   want{failure: netprobe.StalledBody, phase: answer, status: 200, body: "foo", detail: "within 250ms"},
		},
		"a stream of events": {
			server: saysAndStays(head + "Content-Type: text/event-stream; charset=utf-8\r\n\r\ndata: 1\n\n"),
			opts:   netprobe.Options{Timeout: shortTimeout},
			want:   want{phase: answer, status: 200, body: "data: 1\n\n"},
		},
		"a stream of events without the expected text": {
			server: saysAndStays(head + "Content-Type: text/event-stream\r\n\r\ndata: 1\n\n"),
			target: netprobe.Target{Expect: netprobe.Expect{Body: "data: 2"}},
			opts:   netprobe.Options{Timeout: shortTimeout},
			want:   want{failure: netprobe.StalledBody, phase: answer, status: 200, body: "data: 1\n\n"},
		},
		"stalled body of a bad status": {
			server: saysAndStays("HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nfoo"),
			opts:   netprobe.Options{Timeout: shortTimeout},
			want:   want{failure: netprobe.UnexpectedStatus, phase: answer, status: 500, body: "foo"},
		},
		"silence": {
			server: saysAndStays(""),
			opts:   netprobe.Options{Timeout: shortTimeout},
			want:   want{failure: netprobe.NoResponse, phase: request, detail: "no response within 250ms"},
		},
		"stalled header": {
			server: saysAndStays(head + "Content-Len"),
			opts:   netprobe.Options{Timeout: shortTimeout},
			want:   want{failure: netprobe.NoResponse, phase: answer, detail: "header was not complete"},
		},
		"stalled in the first word": {
			server: saysAndStays("HT"),
			opts:   netprobe.Options{Timeout: shortTimeout},
			want:   want{failure: netprobe.NoResponse, phase: answer},
		},
		"trickling header": {
			server: trickles(head, "A: b\r\n"),
			opts:   netprobe.Options{Timeout: shortTimeout},
			want:   want{failure: netprobe.NoResponse, phase: answer},
		},
		"closed": {
			server: says(""),
			want: want{failure: netprobe.ClosedWithoutResponse, phase: request,
				detail: "connection accepted, then closed without a response"},
		},
		"closed before the request": {
			server: func(conn net.Conn) { _ = conn.Close() },
			want:   want{failure: netprobe.ClosedWithoutResponse, phase: request},
		},
		"reset": {
			server: resets(func(conn net.Conn) { readRequest(conn) }),
			want: want{failure: netprobe.ClosedWithoutResponse, phase: request,
				detail: "connection accepted, then closed without a response"},
		},
		"closed within the header": {
			server: says(head + "Content-Len"),
			want:   want{failure: netprobe.ClosedWithoutResponse, phase: answer, detail: "within the response header"},
		},
		"endless header": {
			server: floods(head, "A: "+long+"\r\n"),
			want:   want{failure: netprobe.NotHTTP, phase: answer, detail: "longer than 64 KiB"},
		},
		"endless header line": {
			server: floods(head+"A: ", long),
			want:   want{failure: netprobe.NotHTTP, phase: answer, detail: "longer than 64 KiB"},
		},
		"endless status line": {
			server: floods("HTTP/1.1 200 ", long),
			want:   want{failure: netprobe.NotHTTP, phase: answer, detail: "longer than 64 KiB"},
		},
		"endless interim responses": {
			server: floods("", "HTTP/1.1 100 Continue\r\n\r\n"),
			want:   want{failure: netprobe.NotHTTP, phase: answer, detail: "longer than 64 KiB"},
		},
		"malformed status": {
			server: saysAndStays("HTTP/1.1 \x1b[31mred\r\n\r\n"),
			want:   want{failure: netprobe.NotHTTP, phase: answer, detail: `malformed`},
		},
		"malformed header": {
			server: saysAndStays(head + "no colon\r\n\r\n"),
			want:   want{failure: netprobe.NotHTTP, phase: answer, detail: `malformed`},
		},
		"other protocol, which goes on waiting": {
			server: saysAndStays("SSH-2.0-OpenSSH_9.2\r\n"),
			want: want{failure: netprobe.NotHTTP, phase: answer, body: "SSH-2.0-OpenSSH_9.2\n",
				detail: `begins with "SSH-2.0-OpenSSH_9.2\r\n"`},
		},
		"other protocol, more than the limit": {
			server: says("SSH-2.0-OpenSSH_9.2\r\n"),
			opts:   netprobe.Options{BodyLimit: 5},
			want:   want{failure: netprobe.NotHTTP, phase: answer, body: `SSH-2…`},
		},
		"looks like TLS": {
			server: says("\x15\x03\x01\x00\x02\x02\x0a"),
			want: want{failure: netprobe.NotHTTP, phase: answer, body: `\x15\x03\x01\x00\x02\x02` + "\n",
				detail: "looks like TLS"},
		},
		"nginx that needs TLS": {
			server: says("HTTP/1.1 400 Bad Request\r\n\r\n<center>The plain HTTP request was sent to HTTPS port</center>"),
			target: netprobe.Target{Identity: identity},
			want: want{failure: netprobe.NotHTTP, phase: answer, status: 400, detail: "needs https",
				body: "<center>The plain HTTP request was sent to HTTPS port</center>"},
		},
		"right server": {
			server: says(head + me + "\r\nfoo"),
			target: netprobe.Target{Identity: identity},
			want:   want{phase: answer, status: 200, body: "foo", identity: verified},
		},
		"right server, wrong status": {
			server: says("HTTP/1.1 404 No\r\n" + me + "\r\n"),
			target: netprobe.Target{Identity: identity},
			want:   want{failure: netprobe.UnexpectedStatus, phase: answer, status: 404, identity: verified},
		},
		"server without identity": {
			server: says(head + "\r\nfoo"),
			target: netprobe.Target{Identity: identity},
			want: want{failure: netprobe.WrongServer, phase: answer, status: 200, body: "foo", identity: mismatch,
				detail: "sends no identity"},
		},
		"another server": {
			server: says(head + netprobe.IdentityHeader + ": x\xffy\r\n\r\nfoo"),
			target: netprobe.Target{Identity: identity},
			want: want{failure: netprobe.WrongServer, phase: answer, status: 200, body: "foo", identity: mismatch,
				detail: `its identity is "x\xffy"`},
		},
		"another server, bad status, bad body": {
			server: says("HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nbar"),
			target: netprobe.Target{Identity: identity, Expect: netprobe.Expect{Body: "foo"}},
			want:   want{failure: netprobe.WrongServer, phase: answer, status: 500, body: "bar", identity: mismatch},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.target.Address = serve(t, "tcp4", test.server)
			if test.opts.Timeout == 0 {
				test.opts.Timeout = longTimeout
			}
			got := probe(t, test.target, test.opts)
			check(t, got, test.want)
			if got.Remote != test.target.Address {
				t.Errorf("remote %q, want %q", got.Remote, test.target.Address)
			}
		})
	}
}

// TestRequest checks what a server receives.
func TestRequest(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 1)
	address := webServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r }))
	result := probe(t, netprobe.Target{Address: address, Path: "/a b?c=d"}, netprobe.Options{Timeout: longTimeout})
	if !result.OK {
		t.Fatal(result)
	}
	r := <-seen
	got := fmt.Sprint(r.Method, " ", r.Host, " ", r.RequestURI, " ", r.Close, " ", r.Header)
	want := "GET " + address + " /a%20b?c=d true map[Connection:[close] User-Agent:[nestprobe]]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestAcceptedThenClosed expects one class for one situation: whether a close shows
// as an end, a reset or a failed write depends only on timing.
func TestAcceptedThenClosed(t *testing.T) {
	t.Parallel()
	servers := map[string]func(net.Conn){
		"closes":                func(conn net.Conn) { _ = conn.Close() },
		"reads, then closes":    says(""),
		"reads part and closes": func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)); _ = conn.Close() },
		"reads, then resets":    resets(func(conn net.Conn) { readRequest(conn) }),
	}
	for name, server := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, "tcp4", server)
			for range 2000 {
				got := probe(t, netprobe.Target{Address: address}, netprobe.Options{Timeout: longTimeout})
				if got.Failure != netprobe.ClosedWithoutResponse || got.Phase != request {
					t.Fatalf("%q in phase %q: %s (%v)", got.Failure, got.Phase, got.Detail, got.Err)
				}
			}
		})
	}
}

// TestImmediateReset: the reset arrives before this side sees the connection, or
// just after. No other failure is possible.
func TestImmediateReset(t *testing.T) {
	t.Parallel()
	address := serve(t, "tcp4", resets(func(net.Conn) {}))
	for _, scheme := range []netprobe.Scheme{netprobe.HTTP, netprobe.TCP} {
		seen := map[want]int{}
		for range 500 {
			got := probe(t, netprobe.Target{Scheme: scheme, Address: address},
				netprobe.Options{Timeout: longTimeout, Settle: longTimeout})
			seen[want{failure: got.Failure, phase: got.Phase}]++
		}
		connecting := want{failure: netprobe.Reset, phase: netprobe.PhaseConnect}
		connected := want{failure: netprobe.ClosedWithoutResponse, phase: request}
		if seen[connecting]+seen[connected] != 500 {
			t.Errorf("%s: %+v", scheme, seen)
		}
		t.Logf("%s: %d while connecting, %d once connected", scheme, seen[connecting], seen[connected])
	}
}

// What a target sends: its method, its headers, its host instead of the address, also
// for the WebSocket.
func TestMethodAndHeaders(t *testing.T) {
	t.Parallel()
	var seen []string
	address := webServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, strings.Join([]string{r.Method, r.Host, r.Header.Get("X-Key"), r.UserAgent()}, " "))
		if r.URL.Path == "/ws" {
			echo(w, r)
		}
	}))
	target := netprobe.Target{Address: address, WebSocket: "/ws", Method: http.MethodHead, Header: http.Header{
		"Host": {"shop.example"}, "X-Key": {"a", "b"}, "User-Agent": {"browser"},
	}}
	got := probe(t, target, netprobe.Options{Timeout: longTimeout})
	check(t, got, want{phase: netprobe.PhaseWebSocket, status: 200, websocket: netprobe.WebSocketOK})
	assert.DeepEqual(t, seen, []string{"HEAD shop.example a browser", "GET shop.example a browser"})

	seen = nil
	got = probe(t, netprobe.Target{Address: address, Header: http.Header{"X-Key": {"a"}}}, netprobe.Options{Timeout: longTimeout})
	assert.Assert(t, got.OK, got.Detail)
	assert.DeepEqual(t, seen, []string{"GET " + address + " a nestprobe"})
}
