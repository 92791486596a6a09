package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"
)

// started runs a server with these flags for the length of a test, and returns
// its address once it listens.
func started(t *testing.T, args ...string) string {
	t.Helper()
	o, err := parse(args)
	assert.NilError(t, err)
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serveOn(ctx, listener, o) }()
	t.Cleanup(func() {
		cancel()
		assert.NilError(t, <-done)
	})
	return listener.Addr().String()
}

func fetch(t *testing.T, url string) (*http.Response, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	assert.NilError(t, err)
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}
	response, err := transport.RoundTrip(request)
	if err == nil {
		t.Cleanup(func() { _ = response.Body.Close() })
	}
	return response, err
}

func TestAnswers(t *testing.T) {
	t.Setenv("GREETING", "hello")
	tests := map[string]struct {
		args   []string
		scheme string
		status int
		body   string
	}{
		"plain":        {scheme: "http", status: 200, body: "ok"},
		"status":       {args: []string{"--status", "503"}, scheme: "http", status: 503, body: "ok"},
		"body":         {args: []string{"--body", "foo"}, scheme: "http", status: 200, body: "foo"},
		"redirect":     {args: []string{"--status", "302"}, scheme: "http", status: 302, body: "ok"},
		"https":        {args: []string{"--https"}, scheme: "https", status: 200, body: "ok"},
		"environment":  {args: []string{"--print-env", "GREETING"}, scheme: "http", status: 200, body: "hello"},
		"plain to TLS": {args: []string{"--https"}, scheme: "http", status: 400, body: "Client sent an HTTP request to an HTTPS server.\n"},
		"refused host": {args: []string{"--hosts", "localhost,web"}, scheme: "http", status: 403, body: "Blocked request. This host is not allowed.\n"},
		"allowed host": {args: []string{"--hosts", "localhost,127.0.0.1"}, scheme: "http", status: 200, body: "ok"},
		"delay":        {args: []string{"--delay", "1ms"}, scheme: "http", status: 200, body: "ok"},
		"no backend":   {args: []string{"--bad-gateway-for", "1h"}, scheme: "http", status: 502},
		"other flags":  {args: []string{"--websocket", "/ws"}, scheme: "http", status: 200, body: "ok"},
		"escape":       {args: []string{"--hostile", "escape"}, scheme: "http", status: 200, body: "\x1b]0;owned\x07\x1b[2J\x1b[31mred\u202egnihtemos\r\nlast\x00"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response, err := fetch(t, test.scheme+"://"+started(t, test.args...)+"/any") //nolint:bodyclose // fetch does
			assert.NilError(t, err)
			body, err := io.ReadAll(response.Body)
			assert.NilError(t, err)
			assert.Equal(t, response.StatusCode, test.status)
			assert.Equal(t, string(body), test.body)
		})
	}
}

// A server of HTTP/2 only does not answer HTTP/1.
func TestH2C(t *testing.T) {
	t.Parallel()
	address := started(t, "--h2c")
	_, err := fetch(t, "http://"+address) //nolint:bodyclose // fetch does
	assert.Equal(t, errorWord(err), "closed")
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, http.NoBody)
	assert.NilError(t, err)
	response, err := transport.RoundTrip(request)
	assert.NilError(t, err)
	defer response.Body.Close() //nolint:errcheck // the test ends
	assert.Equal(t, response.StatusCode, 200)
}

func TestHostile(t *testing.T) {
	t.Parallel()
	t.Run("endless", func(t *testing.T) {
		t.Parallel()
		response, err := fetch(t, "http://"+started(t, "--hostile", "endless")) //nolint:bodyclose // fetch does
		assert.NilError(t, err)
		n, err := io.CopyN(io.Discard, response.Body, 16<<20)
		assert.NilError(t, err, "ended after %d bytes", n)
	})
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		response, err := fetch(t, "http://"+started(t, "--hostile", "slow")) //nolint:bodyclose // fetch does
		assert.NilError(t, err)
		buffer := make([]byte, 64)
		for range 3 {
			n, err := response.Body.Read(buffer)
			assert.NilError(t, err)
			assert.Equal(t, string(buffer[:n]), "s")
		}
	})
	t.Run("hugeheader", func(t *testing.T) {
		t.Parallel()
		_, err := fetch(t, "http://"+started(t, "--hostile", "hugeheader")) //nolint:bodyclose // fetch does
		assert.ErrorContains(t, err, "server response headers exceeded")
	})
	t.Run("badheader", func(t *testing.T) {
		t.Parallel()
		_, err := fetch(t, "http://"+started(t, "--hostile", "badheader")) //nolint:bodyclose // fetch does
		assert.ErrorContains(t, err, "malformed MIME header")
	})
	t.Run("truncated", func(t *testing.T) {
		t.Parallel()
		response, err := fetch(t, "http://"+started(t, "--hostile", "truncated")) //nolint:bodyclose // fetch does
		assert.NilError(t, err)
		_, err = io.ReadAll(response.Body)
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	})
	t.Run("close", func(t *testing.T) {
		t.Parallel()
		_, err := fetch(t, "http://"+started(t, "--hostile", "close")) //nolint:bodyclose // fetch does
		assert.Equal(t, errorWord(err), "closed")
	})
}

func TestTCP(t *testing.T) {
	t.Parallel()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", started(t, "--tcp-banner", "220 ready"))
	assert.NilError(t, err)
	defer conn.Close() //nolint:errcheck // the test ends
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	assert.NilError(t, err)
	assert.Equal(t, line, "220 ready\r\n")
	_, err = io.WriteString(conn, "QUIT\n")
	assert.NilError(t, err)
	line, err = reader.ReadString('\n')
	assert.NilError(t, err)
	assert.Equal(t, line, "QUIT\n")
}

// A silent server answers no byte, so the connection ends only from this side.
func TestSilent(t *testing.T) {
	t.Parallel()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", started(t, "--silent"))
	assert.NilError(t, err)
	defer conn.Close() //nolint:errcheck // the test ends
	_, err = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	assert.NilError(t, err)
	assert.NilError(t, conn.(*net.TCPConn).CloseWrite())
	data, err := io.ReadAll(conn)
	assert.NilError(t, err)
	assert.Equal(t, len(data), 0)
}

func TestWebSocketEcho(t *testing.T) {
	t.Parallel()
	address := started(t, "--websocket", "/ws")
	conn, _, err := websocket.Dial(t.Context(), "ws://"+address+"/ws", nil) //nolint:bodyclose // the library closes it
	assert.NilError(t, err)
	defer conn.CloseNow() //nolint:errcheck // the test ends
	assert.NilError(t, conn.Write(t.Context(), websocket.MessageText, []byte("hello")))
	_, message, err := conn.Read(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, string(message), "hello")
	_, response, err := websocket.Dial(t.Context(), "ws://"+address+"/other", nil) //nolint:bodyclose // the library closes it
	assert.Assert(t, err != nil)
	assert.Equal(t, response.StatusCode, http.StatusOK)
}

// A server with --exit-code exits with that status, whether it listens or not.
func TestExit(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--exit-code", "7"},
		{"--exit-code", "7", "--listen-after", "1h"},
		{"--exit-code", "7", "--exit-after", "1ms", "--listen", "127.0.0.1:0"},
	} {
		o, err := parse(args)
		assert.NilError(t, err)
		code, err := run(o)
		assert.NilError(t, err)
		assert.Equal(t, code, 7, "%q", args)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"argument"}, {"--status", "x"}, {"--print-env", "NOT_SET_ANYWHERE"}, {"--hostile", "nice"}} {
		_, err := parse(args)
		assert.Check(t, err != nil, "%q", args)
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	o := options{get: "http://" + started(t, "--status", "404"), getTimeout: time.Minute}
	assert.Equal(t, get(&out, o), 0)
	assert.Equal(t, out.String(), "404 ok\n")

	// A port that was just given back is refused.
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	assert.NilError(t, listener.Close())
	out.Reset()
	o.get = "http://" + listener.Addr().String()
	assert.Equal(t, get(&out, o), 1)
	assert.Check(t, cmp.Equal(out.String(), "refused\n"))

	out.Reset()
	o = options{get: "http://" + started(t, "--silent"), getTimeout: 50 * time.Millisecond}
	assert.Equal(t, get(&out, o), 1)
	assert.Check(t, cmp.Equal(out.String(), "timeout\n"))
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Assert(t, errors.Is(wait(ctx, time.Hour), context.Canceled))
	assert.NilError(t, wait(t.Context(), time.Nanosecond))
}
