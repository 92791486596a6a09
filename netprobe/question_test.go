package netprobe_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// askAgain probes a target, and then in each way that may prove why the answer was not
// the expected one. The key of an answer is the way, and the Host header if there is one.
func askAgain(t *testing.T, target netprobe.Target, terms netprobe.Race, names ...string) (netprobe.Result, map[string]netprobe.Result) {
	t.Helper()
	first := probe(t, target, netprobe.Options{Timeout: terms.Timeout})
	answers := map[string]netprobe.Result{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, q := range target.Questions(first, terms, names) {
		group.Go(func() {
			result := q.Race.Run(context.WithoutCancel(t.Context()))[0]
			mu.Lock()
			defer mu.Unlock()
			answers[strings.TrimSpace(string(q.Way)+" "+q.Host)] = result
		})
	}
	group.Wait()
	return first, answers
}

// http2Only is a server that speaks HTTP/2 without TLS, and nothing else.
func http2Only(t *testing.T) string {
	t.Helper()
	listener := listen(t, "tcp4", "127.0.0.1:0")
	server := &http.Server{Handler: builtin(), Protocols: new(http.Protocols), ReadHeaderTimeout: longTimeout}
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return listener.Addr().String()
}

// frames is a server of HTTP/2 that sends its settings before it reads anything, as
// many libraries do, and then closes because of a request in HTTP/1.
func frames(conn net.Conn) {
	_, _ = conn.Write([]byte("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"))
	readRequest(conn)
	_ = conn.Close()
}

func httpsServer(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// bareTLS is a server whose TLS layer answers plain text with an alert, or only closes.
func bareTLS(t *testing.T, alerts bool) string {
	t.Helper()
	config := httptest.NewTLSServer(nil)
	t.Cleanup(config.Close)
	return serve(t, "tcp4", func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		first := &firstByte{Conn: conn}
		if first.isHandshake() {
			_ = tls.Server(first, config.TLS).Handshake()
			return
		}
		if alerts {
			_, _ = conn.Write([]byte("\x15\x03\x01\x00\x02\x02\x0a")) // unexpected message
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn) // closing with unread bytes would reset the connection
	})
}

// firstByte is a connection whose first byte can be looked at before it is read.
type firstByte struct {
	net.Conn
	peeked []byte
}

func (f *firstByte) isHandshake() bool {
	f.peeked = make([]byte, 1)
	_, err := io.ReadFull(f.Conn, f.peeked)
	return err == nil && f.peeked[0] == 22
}

func (f *firstByte) Read(b []byte) (int, error) {
	n := copy(b, f.peeked)
	f.peeked = f.peeked[n:]
	if n > 0 {
		return n, nil
	}
	return f.Conn.Read(b)
}

// onlyFor is a server that serves the hosts that it is configured for.
func onlyFor(status int, hosts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(hosts, r.Host) {
			w.WriteHeader(status)
		}
	}
}

func TestQuestionsProveTheReason(t *testing.T) {
	t.Parallel()
	terms := netprobe.Race{Timeout: longTimeout}
	for name, test := range map[string]struct {
		target  netprobe.Target
		failure netprobe.Failure
		proof   string // the key of the answer that proves the reason
	}{
		"TLS whose server answers HTTP with 400": {
			netprobe.Target{Address: httpsServer(t, builtin())}, netprobe.NotHTTP, "tls",
		},
		"TLS that answers with an alert":    {netprobe.Target{Address: bareTLS(t, true)}, netprobe.NotHTTP, "tls"},
		"TLS that closes":                   {netprobe.Target{Address: bareTLS(t, false)}, netprobe.ClosedWithoutResponse, "tls"},
		"HTTP/2 that answers with a frame":  {netprobe.Target{Address: serve(t, "tcp4", frames)}, netprobe.NotHTTP, "http2"},
		"HTTP/2 that waits for the preface": {netprobe.Target{Address: http2Only(t)}, netprobe.ClosedWithoutResponse, "http2"},
		"a name that is not allowed, 403":   {netprobe.Target{Address: webServer(t, onlyFor(403, "web"))}, netprobe.UnexpectedStatus, "host-header web"},
		"a name that is not allowed, 400":   {netprobe.Target{Address: webServer(t, onlyFor(400, "localhost"))}, netprobe.UnexpectedStatus, "host-header localhost"},
		"a virtual host, 404":               {netprobe.Target{Address: webServer(t, onlyFor(404, "web"))}, netprobe.UnexpectedStatus, "host-header web"},
		"a misdirected request":             {netprobe.Target{Address: webServer(t, onlyFor(421, "web"))}, netprobe.UnexpectedStatus, "host-header web"},
		"https to plain HTTP":               {netprobe.Target{Scheme: netprobe.HTTPS, Path: "/foo", Address: webServer(t, builtin())}, netprobe.TLSOnPlainPort, "plain-http"},
		"a refusal that comes first":        {netprobe.Target{Address: serve(t, "tcp4", refuses)}, netprobe.NotHTTP, "listen"},
		"https to HTTP/2 without TLS":       {netprobe.Target{Scheme: netprobe.HTTPS, Address: http2Only(t)}, netprobe.TLSClosed, "http2"},
		"https to plain HTTP that closes":   {netprobe.Target{Scheme: netprobe.HTTPS, Address: serve(t, "tcp4", closesOnTLS)}, netprobe.TLSClosed, "plain-http"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, answers := askAgain(t, test.target, terms, "web")
			assert.Check(t, is.Equal(first.Failure, test.failure), first.Detail)
			proof := answers[test.proof]
			proven := proof.OK || proof.Failure == netprobe.Denied || proof.TLS != "" || test.proof == "plain-http" && proof.Status != 0
			assert.Check(t, proven, "%+v", answers)
			for way, other := range answers {
				silent := way == "listen" && other.Failure == "" // which proves nothing
				assert.Check(t, way == test.proof || silent || !other.OK && other.TLS == "", "%s: %+v", way, other)
				assert.Check(t, is.Equal(other.Attempts, 1))
				checkSafe(t, other)
			}
		})
	}
}

// refuses is a server that refuses all clients before their first request.
func refuses(conn net.Conn) {
	_, _ = io.WriteString(conn, "-DENIED protected mode\r\n")
	_, _ = io.Copy(io.Discard, conn)
}

// closesOnTLS is a server of plain HTTP that closes when it gets anything else.
func closesOnTLS(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if first := (&firstByte{Conn: conn}); !first.isHandshake() {
		readRequest(first)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
}

func TestQuestionsAfterSilence(t *testing.T) {
	t.Parallel()
	slow := webServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(2 * shortTimeout):
		case <-r.Context().Done():
		}
	}))
	dead := serve(t, "tcp4", func(net.Conn) {})
	terms := netprobe.Race{Timeout: shortTimeout}

	first, answers := askAgain(t, netprobe.Target{Address: slow}, terms)
	assert.Equal(t, first.Failure, netprobe.NoResponse)
	assert.Check(t, answers["longer"].OK, answers["longer"].Detail)
	assert.Check(t, answers["longer"].Timings.Total >= 2*shortTimeout)

	first, answers = askAgain(t, netprobe.Target{Address: dead}, terms)
	assert.Equal(t, first.Failure, netprobe.NoResponse)
	check(t, answers["longer"], want{failure: netprobe.NoResponse, phase: request, detail: "no response within 2.5s"})
}

// What is proven by the first answer, or works, is not asked again.
func TestNoQuestions(t *testing.T) {
	t.Parallel()
	http, https, tcp := netprobe.Target{Address: "a:1"}, netprobe.Target{Scheme: netprobe.HTTPS, Address: "a:1"}, netprobe.Target{Scheme: netprobe.TCP, Address: "a:1"}
	for name, test := range map[string]struct {
		target netprobe.Target
		first  netprobe.Result
	}{
		"works":              {http, netprobe.Result{OK: true, Status: 200}},
		"another server":     {http, netprobe.Result{Failure: netprobe.UnexpectedStatus, Status: 404, Identity: netprobe.IdentityMismatch}},
		"refused":            {http, netprobe.Result{Failure: netprobe.Refused}},
		"dropped":            {https, netprobe.Result{Failure: netprobe.ConnectTimeout}},
		"a bad certificate":  {https, netprobe.Result{Failure: netprobe.TLSExpired}},
		"another body":       {http, netprobe.Result{Failure: netprobe.UnexpectedBody, Status: 200}},
		"an error":           {http, netprobe.Result{Failure: netprobe.UnexpectedStatus, Status: 500}},
		"tcp closed":         {tcp, netprobe.Result{Failure: netprobe.ClosedWithoutResponse}},
		"the WebSocket ends": {http, netprobe.Result{Failure: netprobe.ClosedWithoutResponse, Phase: netprobe.PhaseWebSocket, Status: 200}},
		"no request":         {tcp, netprobe.Result{Failure: netprobe.NoResponse}},
	} {
		got := test.target.Questions(test.first, netprobe.Race{}, []string{"web"})
		assert.Check(t, is.Len(got, 0), name)
	}
	waiting := netprobe.Target{Scheme: netprobe.TCP, Address: "a:1", Expect: netprobe.Expect{Body: "220"}}
	silent := netprobe.Result{Failure: netprobe.NoResponse, Phase: request}
	assert.Check(t, is.Len(waiting.Questions(silent, netprobe.Race{}, nil), 1))
	assert.Check(t, is.Len(waiting.Questions(silent, netprobe.Race{Timeout: 15 * time.Second}, nil), 0), "no time limit is longer")
}

// The Host headers that are tried are few, and none is tried twice.
func TestQuestionsTryFewHosts(t *testing.T) {
	t.Parallel()
	target := netprobe.Target{Address: "web:8080"}.WithHost("shop")
	questions := target.Questions(netprobe.Result{Failure: netprobe.UnexpectedStatus, Status: 403}, netprobe.Race{},
		[]string{"web", "", "shop", "localhost", "a", "b", "a", "c", "d"})
	var hosts []string
	for _, q := range questions {
		hosts = append(hosts, q.Host)
		assert.Check(t, is.Equal(q.Race.Attempts[0].Header.Get("Host"), q.Host))
	}
	assert.DeepEqual(t, hosts, []string{"localhost", "a", "b", "c"})
	assert.Equal(t, target.Header.Get("Host"), "shop")
}
