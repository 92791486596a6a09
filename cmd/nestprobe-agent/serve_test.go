package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// hangGuard bounds a test whose agent hangs.
const hangGuard = 2 * time.Minute

// startServe runs the role in this process and returns its port.
func startServe(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	done := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		args = append([]string{"serve", "--port", "0", "--identity", "tok"}, args...)
		done <- run(ctx, args, stdio{in: strings.NewReader(""), out: in, err: &stderr})
		_ = in.Close()
	}()
	t.Cleanup(func() {
		cancel()
		assert.Equal(t, <-done, exitOK)
		assert.Equal(t, stderr.String(), "")
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	assert.NilError(t, err)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(strings.TrimSpace(line), "listening on "))
	assert.NilError(t, err)
	return port
}

// insecureClient returns a client that does not verify certificates.
func insecureClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		ForceAttemptHTTP2: true, // used if the server offers it
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	ports := map[string]string{"http": startServe(t), "https": startServe(t, "--scheme", "https")}
	const upgrade = "WebSocket protocol violation: Connection header \"close\" does not contain Upgrade\n"
	for name, test := range map[string]struct {
		method, path string
		status       int
		body         string
	}{
		"the answer":        {"GET", "/foo", 200, "foo"},
		"with a query":      {"GET", "/foo?a=b", 200, "foo"},
		"head":              {"HEAD", "/foo", 200, ""},
		"wrong method":      {"POST", "/foo", 405, "only GET and HEAD are answered here\n"},
		"another path":      {"GET", "/", 404, "nothing at this path, try /foo\n"},
		"below the path":    {"GET", "/foo/", 404, "nothing at this path, try /foo\n"},
		"dots":              {"GET", "/foo/../foo", 404, "nothing at this path, try /foo\n"},
		"no upgrade at /ws": {"GET", "/ws", 426, upgrade},
	} {
		for scheme, port := range ports {
			for _, host := range []string{"127.0.0.1", "::1"} {
				t.Run(name+"/"+scheme+"/"+host, func(t *testing.T) {
					t.Parallel()
					request, err := http.NewRequestWithContext(t.Context(), test.method, scheme+"://"+net.JoinHostPort(host, port)+test.path, nil)
					assert.NilError(t, err)
					response, err := insecureClient().Do(request)
					assert.NilError(t, err)
					got, err := io.ReadAll(response.Body)
					assert.NilError(t, err)
					assert.NilError(t, response.Body.Close())
					assert.Equal(t, response.StatusCode, test.status)
					assert.Equal(t, string(got), test.body)
					assert.Equal(t, response.Header.Get(netprobe.IdentityHeader), "tok")
					assert.Equal(t, response.Proto, "HTTP/1.1")
				})
			}
		}
	}
}

func TestOtherPaths(t *testing.T) {
	t.Parallel()
	port := startServe(t, "--path", "/a/b", "--websocket", "")
	for path, want := range map[string]string{
		"/a/b": "foo",
		"/foo": "nothing at this path, try /a/b\n",
		"/ws":  "nothing at this path, try /a/b\n",
		"":     "nothing at this path, try /a/b\n",
	} {
		response, err := insecureClient().Get("http://127.0.0.1:" + port + path)
		assert.NilError(t, err)
		got, err := io.ReadAll(response.Body)
		assert.NilError(t, err)
		assert.NilError(t, response.Body.Close())
		assert.Equal(t, string(got), want, path)
	}
}

// net/http answers these before a handler runs, which would add the identity.
func TestAnswersToBadRequestsCarryTheIdentity(t *testing.T) {
	t.Parallel()
	plain, secure := startServe(t), startServe(t, "--scheme", "https")
	for name, test := range map[string]struct {
		port, request string
		status        int
	}{
		"no host":            {plain, "GET /foo HTTP/1.1\r\n\r\n", 400},
		"not HTTP":           {plain, "EHLO x\r\n\r\n", 400},
		"bad header":         {plain, "GET /foo HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400},
		"huge header":        {plain, "GET /foo HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", 431},
		"transfer encoding":  {plain, "POST /foo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n", 501},
		"version":            {plain, "GET /foo HTTP/9.9\r\nHost: x\r\n\r\n", 505},
		"all of the server":  {plain, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404},
		"second of two":      {plain, "HEAD /foo HTTP/1.1\r\nHost: x\r\n\r\nbad\r\n\r\n", 400},
		"plain to a TLS one": {secure, "GET /foo HTTP/1.1\r\nHost: x\r\n\r\n", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := talk(t, test.port, test.request)
			last := got[strings.LastIndex(got, "HTTP/1."):]
			response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(last)), nil)
			assert.NilError(t, err, "%q", got)
			_, err = io.ReadAll(response.Body)
			assert.NilError(t, err, "%q", got)
			assert.NilError(t, response.Body.Close())
			assert.Equal(t, response.StatusCode, test.status)
			assert.DeepEqual(t, response.Header.Values(netprobe.IdentityHeader), []string{"tok"})
		})
	}
}

// talk sends what and returns all that comes back.
func talk(t *testing.T, port, what string) string {
	t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	assert.NilError(t, err)
	defer func() { _ = conn.Close() }()
	assert.NilError(t, conn.SetDeadline(time.Now().Add(hangGuard)))
	_, err = io.WriteString(conn, what)
	assert.NilError(t, err)
	assert.NilError(t, conn.(*net.TCPConn).CloseWrite())
	got, err := io.ReadAll(conn)
	assert.NilError(t, err)
	return string(got)
}

func TestWebSocketEchoes(t *testing.T) {
	t.Parallel()
	ports := map[string]string{"ws": startServe(t), "wss": startServe(t, "--scheme", "https")}
	messages := map[string]string{
		"empty":  "",
		"short":  "hello",
		"64 KiB": strings.Repeat("0123456789abcdef", 64<<10/16),
		"1 MiB":  strings.Repeat("x", maxMessage),
		"HTTP":   "HTTP/1.1 200 OK\r\n\r\nfoo",
	}
	// Data that looks like an answer without the identity must not be changed, even at
	// the beginning of a write to the connection: after the 4 KiB of net/http's buffer,
	// less the header of the frame.
	for before := 4<<10 - 14; before <= 4<<10; before++ {
		name := fmt.Sprintf("HTTP after %d bytes", before)
		messages[name] = strings.Repeat("x", before) + "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("y", 70_000)
	}
	for scheme, port := range ports {
		for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
			t.Run(fmt.Sprintf("%s/%s", scheme, kind), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), hangGuard)
				defer cancel()
				conn, response, err := websocket.Dial(ctx, scheme+"://127.0.0.1:"+port+"/ws", &websocket.DialOptions{ //nolint:bodyclose // package websocket closes it
					HTTPClient: insecureClient(),
					HTTPHeader: http.Header{"Origin": {"https://elsewhere.example"}},
				})
				assert.NilError(t, err)
				defer func() { _ = conn.CloseNow() }()
				assert.DeepEqual(t, response.Header.Values(netprobe.IdentityHeader), []string{"tok"})
				conn.SetReadLimit(-1)
				for name, message := range messages {
					assert.NilError(t, conn.Write(ctx, kind, []byte(message)), name)
					gotKind, got, err := conn.Read(ctx)
					assert.NilError(t, err, name)
					assert.Equal(t, gotKind, kind, name)
					assert.Assert(t, string(got) == message, "%s: %d bytes came back changed", name, len(got))
				}
				assert.NilError(t, conn.Close(websocket.StatusNormalClosure, ""))
			})
		}
	}
}

func TestWebSocketRefusesHugeMessages(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), hangGuard)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://127.0.0.1:"+startServe(t)+"/ws", nil) //nolint:bodyclose // package websocket closes it
	assert.NilError(t, err)
	defer func() { _ = conn.CloseNow() }()
	// The library allows for one byte more, to find the end of the message.
	assert.NilError(t, conn.Write(ctx, websocket.MessageBinary, make([]byte, maxMessage+2)))
	_, _, err = conn.Read(ctx)
	assert.Equal(t, websocket.CloseStatus(err), websocket.StatusMessageTooBig, "%v", err)
}

func TestEachServerHasItsOwnCertificate(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 2 {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+startServe(t, "--scheme", "https"), &tls.Config{InsecureSkipVerify: true})
		assert.NilError(t, err)
		certificate := conn.ConnectionState().PeerCertificates[0]
		assert.NilError(t, conn.Close())
		assert.NilError(t, certificate.VerifyHostname("localhost"))
		assert.Assert(t, certificate.NotBefore.Before(time.Now().Add(-time.Hour)), "clocks differ")
		assert.Assert(t, certificate.NotAfter.After(time.Now().Add(24*time.Hour)), "a server may be kept running")
		seen[string(certificate.RawSubjectPublicKeyInfo)] = true
	}
	assert.Equal(t, len(seen), 2)
}

func TestTCPGreets(t *testing.T) {
	t.Parallel()
	port := startServe(t, "--scheme", "tcp")
	const greeting = "Nestprobe-Identity: tok\nfoo\n"
	for name, sent := range map[string]string{
		"silent client": "",
		"HTTP client":   "GET /foo HTTP/1.1\r\nHost: x\r\n\r\n",
		"much":          strings.Repeat("x", maxIgnored),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 20 {
				assert.Equal(t, talk(t, port, sent), greeting)
			}
		})
	}
}

// pipeListener accepts one end of a net.Pipe at each call. It is a fake because with real
// sockets a blocked Accept looks like a slow one.
type pipeListener struct{ closed chan struct{} }

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
		conn, _ := net.Pipe()
		return conn, nil
	}
}
func (l pipeListener) Close() error   { close(l.closed); return nil }
func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		listener := limitConnections(pipeListener{make(chan struct{})}, 2)
		accepted := make(chan net.Conn, 10)
		var failure error
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				conn, err := listener.Accept()
				if err != nil {
					failure = err
					return
				}
				accepted <- conn
			}
		}()
		synctest.Wait()
		assert.Equal(t, len(accepted), 2)

		first := <-accepted
		assert.NilError(t, first.Close())
		assert.NilError(t, first.Close()) // frees nothing more
		synctest.Wait()
		assert.Equal(t, len(accepted), 2)

		assert.NilError(t, listener.Close()) // while Accept waits
		<-ended
		assert.ErrorIs(t, failure, net.ErrClosed)
	})
}

// What arrives over the lease renews the deadline; without it, the server ends.
func TestLeaseRenewsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stdin, plugin := io.Pipe()
		began := time.Now()
		ctx, end := lifetime(t.Context(), serveOptions{deadline: time.Minute, lease: true}, stdin)
		defer end()
		for range 3 {
			time.Sleep(40 * time.Second)
			_, err := io.WriteString(plugin, "\n")
			assert.NilError(t, err)
		}
		<-ctx.Done()
		assert.Check(t, is.Equal(time.Since(began), 3*time.Minute))
		assert.NilError(t, plugin.Close())
	})
}

// The end of the lease comes before the deadline.
func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stdin, plugin := io.Pipe()
		began := time.Now()
		ctx, end := lifetime(t.Context(), serveOptions{deadline: time.Minute, lease: true}, stdin)
		defer end()
		assert.NilError(t, plugin.Close())
		<-ctx.Done()
		assert.Check(t, is.Equal(time.Since(began), time.Duration(0)))
	})
}
