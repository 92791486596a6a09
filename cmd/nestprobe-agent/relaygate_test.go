package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/client"
)

// addressOf is the address of a relay with a URL of relayOf.
func addressOf(relay string) string {
	return strings.TrimSuffix(strings.TrimPrefix(relay, "http://"), below)
}

// exchanged is a response whose body exchange closes.
type exchanged struct {
	StatusCode       int
	Header           http.Header
	Close            bool
	ContentLength    int64
	TransferEncoding []string
	Body             io.Reader
}

// exchange sends bytes that a client library would not, and returns the response.
func exchange(t *testing.T, address, request string) exchanged {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	assert.NilError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, request)
	assert.NilError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	assert.NilError(t, err, "%q", request)
	t.Cleanup(func() { _ = response.Body.Close() })
	return exchanged{response.StatusCode, response.Header, response.Close, response.ContentLength, response.TransferEncoding, response.Body}
}

// Without the token, from a page of another site, and under a name that is not the
// relay's, nothing is started, and nothing is said of the servers.
func TestRelayRefuses(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	_, relay := relayOf(t, s)
	address := addressOf(relay)
	const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	const good = below + "/servers/1/foo"
	for name, test := range map[string]struct{ target, host, header string }{
		"no token":                 {"/servers/1/foo", address, ""},
		"no path":                  {"/", address, ""},
		"another token":            {"/" + strings.Repeat("0", len(token)) + "/servers/1/foo", address, ""},
		"a part of the token":      {"/" + token[:len(token)-1] + "/servers/1/foo", address, ""},
		"more than the token":      {"/" + token + "0/servers/1/foo", address, ""},
		"an empty token":           {"//servers/1/foo", address, client.TokenHeader + ": \r\n"},
		"another header":           {"/servers/1/foo", address, client.TokenHeader + ": " + token[1:] + "\r\n"},
		"an encoded token":         {"/%30" + token[1:] + "/servers/1/foo", address, ""},
		"the token elsewhere":      {"/servers/1/" + token, address, ""},
		"a page of another site":   {good, address, "Origin: http://evil.example\r\n"},
		"a page of another port":   {good, address, "Origin: http://127.0.0.1:1\r\n"},
		"a page without a site":    {good, address, "Origin: null\r\n"},
		"one of two pages":         {good, address, "Origin: http://" + address + "\r\nOrigin: http://evil.example\r\n"},
		"a browser's extension":    {good, address, "Origin: chrome-extension://" + address + "\r\n"},
		"a site that was named":    {good, address, "Origin: " + testPage + ".evil.example\r\n"},
		"a cross-site WebSocket":   {below + "/servers/1/ws", address, upgrade + "Origin: http://evil.example\r\n"},
		"a WebSocket, no token":    {"/servers/1/ws", address, upgrade},
		"a rebound name":           {good, "evil.example", ""},
		"a rebound name and port":  {good, "evil.example:80", "Origin: http://evil.example:80\r\n"},
		"a name below the relay's": {good, "evil." + ownedBy, ""},
		"a name like localhost":    {good, "localhost.evil.example", ""},
		"a number for a name":      {good, "2130706433", ""},
		"an absolute target":       {"http://evil.example" + good, address, ""},
		"no target":                {"*", address, ""},
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS"} {
			response := exchange(t, address, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, test.target, test.host, test.header))
			body, err := io.ReadAll(response.Body)
			assert.NilError(t, err)
			assert.Check(t, is.Equal(response.StatusCode, 403), "%s: %s: %s", name, method, body)
			assert.Check(t, response.Close, "%s: %s: the connection stays open", name, method)
			assert.Check(t, !strings.Contains(string(body)+fmt.Sprint(response.Header), "one"), "%s: %s has the identity", name, method)
		}
	}
	assert.Check(t, is.Len(s.started(), 0))
}

func TestRelayAdmits(t *testing.T) {
	t.Parallel()
	_, relay := relayOf(t, newServers(t))
	address := addressOf(relay)
	_, port, err := net.SplitHostPort(address)
	assert.NilError(t, err)
	const good = below + "/servers/1/foo"
	for name, request := range map[string]string{
		"the token in the path":   "GET " + good + " HTTP/1.1\r\nHost: " + address + "\r\n\r\n",
		"the token in a header":   "GET /servers/1/foo HTTP/1.1\r\nHost: " + address + "\r\n" + client.TokenHeader + ": " + token + "\r\n\r\n",
		"localhost":               "GET " + good + " HTTP/1.1\r\nHost: LocalHost.:" + port + "\r\n\r\n",
		"a name below localhost":  "GET " + good + " HTTP/1.1\r\nHost: a.localhost\r\n\r\n",
		"IPv6":                    "GET " + good + " HTTP/1.1\r\nHost: [::1]:" + port + "\r\n\r\n",
		"an address of the host":  "GET " + good + " HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n",
		"its name":                "GET " + good + " HTTP/1.1\r\nHost: " + strings.ToUpper(ownedBy) + ":" + port + "\r\n\r\n",
		"a page of the relay":     "GET " + good + " HTTP/1.1\r\nHost: " + address + "\r\nOrigin: http://" + address + "\r\n\r\n",
		"the page that was named": "GET " + good + " HTTP/1.1\r\nHost: " + address + "\r\nOrigin: " + testPage + "\r\n\r\n",
		"HTTP/1.0":                "GET " + good + " HTTP/1.0\r\n\r\n",
	} {
		response := exchange(t, address, request)
		body, err := io.ReadAll(response.Body)
		assert.NilError(t, err)
		assert.Check(t, is.Equal(fmt.Sprint(response.StatusCode, " ", string(body)), "200 one /foo"), name)
	}
}

// A server does not see the token.
func TestRelayHidesToken(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	s.handler = func(string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = r.Write(w)
		})
	}
	_, relay := relayOf(t, s)
	address := addressOf(relay)
	response := exchange(t, address, fmt.Sprintf("GET %s/servers/1/foo?a=b HTTP/1.1\r\nHost: %s\r\n%s: %s\r\nReferer: %s/servers/1/page\r\n\r\n",
		below, address, client.TokenHeader, token, relay))
	body, err := io.ReadAll(response.Body)
	assert.NilError(t, err)
	assert.Check(t, is.Contains(string(body), "GET /foo?a=b HTTP/1.1\r\n"))
	assert.Check(t, is.Contains(string(body), "Referer: http://"+address+"/servers/1/page\r\n"))
	assert.Check(t, !strings.Contains(string(body), token), "%s", body)
	assert.Check(t, !strings.Contains(string(body), client.TokenHeader), "%s", body)
}

// The relay says which servers it has, and starts one without a request for it.
func TestRelayStartsServer(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	_, relay := relayOf(t, s)
	status, body := request(t, http.MethodGet, relay+"/")
	assert.Check(t, is.Equal(fmt.Sprint(status, " ", body), "200 the servers are servers/1/ to servers/2/\n"))
	assert.Check(t, is.Len(s.started(), 0))
	for range 2 {
		status, _ = request(t, http.MethodPut, relay+"/servers/2")
		assert.Check(t, is.Equal(status, 204))
	}
	assert.Check(t, is.DeepEqual(s.started(), []int{1}))
	response := exchange(t, addressOf(relay), "GET "+below+"/servers/2?a=b HTTP/1.0\r\n\r\n")
	assert.Check(t, is.Equal(fmt.Sprint(response.StatusCode, response.Header.Get("Location")), "3072/?a=b"))
}

// A server that exits again and again is not started as often as it is requested.
func TestRelayLimitsStarts(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	s.starting = func(context.Context, int) error { return io.ErrUnexpectedEOF }
	r := newProxy(t, s)
	t.Cleanup(r.close)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), startInterval/4)
	defer cancel()
	for range 20 {
		r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, below+"/servers/1/", nil))
	}
	started, later := len(s.started()), int(time.Since(began)/startInterval)
	assert.Check(t, started >= 2+startsAgain && started <= 2+startsAgain+later, "%d", started)
}

// A client that reads nothing does not hold its connection, nor that to the server.
func TestRelayEndsStalledClient(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	ended := make(chan struct{})
	s.handler = func(string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		})
	}
	r := newProxy(t, s)
	opened, err := listen(t.Context(), 0)
	assert.NilError(t, err)
	listener := limitConnections(opened, 1)
	listener.stall = 50 * time.Millisecond
	server := newRelayServer(r)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		assert.Check(t, server.Close())
		assert.Check(t, is.ErrorIs(<-served, http.ErrServerClosed))
		r.close()
	})
	address := fmt.Sprintf("127.0.0.1:%d", opened.Addr().(*net.TCPAddr).Port)
	stalled, err := net.Dial("tcp", address)
	assert.NilError(t, err)
	defer func() { assert.Check(t, stalled.Close()) }()
	_, err = io.WriteString(stalled, "GET "+below+"/servers/1/ HTTP/1.0\r\n\r\n")
	assert.NilError(t, err)
	<-ended
	response := exchange(t, address, "GET / HTTP/1.0\r\n\r\n") // the only connection is free again
	assert.Check(t, is.Equal(response.StatusCode, 403))
}

func TestRelayBoundsHeaders(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	s.handler = func(string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 2*relayHeaderBytes))
		})
	}
	_, relay := relayOf(t, s)
	response := exchange(t, addressOf(relay), "GET "+below+"/servers/1/ HTTP/1.0\r\nX-Long: "+strings.Repeat("x", 2*relayHeaderBytes)+"\r\n\r\n")
	assert.Check(t, is.Equal(response.StatusCode, 431))
	status, body := request(t, http.MethodGet, relay+"/servers/1/")
	assert.Check(t, is.Equal(status, 502))
	assert.Check(t, is.Contains(body, "server 1 did not answer: "))
}

// A page of another site cannot open a WebSocket, with a browser's library either.
func TestRelayRefusesCrossSiteWebSocket(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	s.handler = func(string) http.Handler { return http.HandlerFunc(echo) }
	_, relay := relayOf(t, s)
	_, response, err := websocket.Dial(t.Context(), relay+"/servers/1/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}}) //nolint:bodyclose // package websocket closes it
	assert.Check(t, is.ErrorContains(err, "403"))
	assert.Check(t, is.Equal(response.StatusCode, 403))
	assert.Check(t, is.Len(s.started(), 0))
}
