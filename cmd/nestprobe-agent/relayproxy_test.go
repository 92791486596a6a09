package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/client"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
)

// fakeServers are HTTP servers in this process instead of in containers, so that a test
// decides how one starts, fails or ends. The relay is tested with real containers too.
type fakeServers struct {
	handler func(identity string) http.Handler
	// starting is called at each start, which returns its error.
	starting func(ctx context.Context, index int) error
	stopping func(index int) error

	mu      sync.Mutex
	running map[*experiment.Running]*started
	starts  []int // indexes, in order
	stops   []int
}

type started struct {
	index  int
	http   *httptest.Server
	exited chan struct{}
	end    func()
}

// newServers returns servers that answer with their identity and path, unless the test
// sets another handler.
func newServers(t *testing.T) *fakeServers {
	t.Helper()
	s := &fakeServers{
		running: map[*experiment.Running]*started{},
		handler: func(identity string) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = fmt.Fprintf(w, "%s %s", identity, r.RequestURI)
			})
		},
		starting: func(context.Context, int) error { return nil },
		stopping: func(int) error { return nil },
	}
	t.Cleanup(func() {
		for _, one := range s.running {
			one.end()
		}
	})
	return s
}

func (s *fakeServers) Start(ctx context.Context, index int, identity string) (*experiment.Running, error) {
	s.mu.Lock()
	s.starts = append(s.starts, index)
	s.mu.Unlock()
	if err := s.starting(ctx, index); err != nil {
		return nil, err
	}
	one := &started{index: index, http: httptest.NewServer(s.handler(identity)), exited: make(chan struct{})}
	one.end = sync.OnceFunc(func() {
		one.http.CloseClientConnections()
		one.http.Close()
		close(one.exited)
	})
	running := &experiment.Running{URL: one.http.URL, Exited: one.exited}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[running] = one
	return running, nil
}

func (s *fakeServers) Stop(_ context.Context, running *experiment.Running) error {
	s.mu.Lock()
	one := s.running[running]
	s.stops = append(s.stops, one.index)
	s.mu.Unlock()
	one.end()
	return s.stopping(one.index)
}

// latest returns the server with an index that runs.
func (s *fakeServers) latest(index int) *started {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.running {
		select {
		case <-one.exited:
		default:
			if one.index == index {
				return one
			}
		}
	}
	return nil
}

func (s *fakeServers) started() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.starts)
}

func (s *fakeServers) stopped() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.stops)
}

const (
	token    = "0123456789abcdef0123456789abcdef" // of the tests' relays
	below    = "/" + token
	ownedBy  = "example.com" // the Host of httptest.NewRequest
	testPage = "https://app.example"
)

// newProxy returns a relay with two servers with the identities "one" and "two".
func newProxy(t *testing.T, servers onDemandServers) *relayProxy {
	t.Helper()
	return newRelayProxy(t.Context(), servers, client.RelayAccess{Token: token, Hosts: []string{ownedBy}, Origin: testPage}, []string{"one", "two"})
}

// relayOf serves a relay as the agent does. The URL has the token.
func relayOf(t *testing.T, servers onDemandServers) (*relayProxy, string) {
	t.Helper()
	r := newProxy(t, servers)
	opened, err := listen(t.Context(), 0)
	assert.NilError(t, err)
	listener := limitConnections(opened, relayConnections)
	listener.stall = stallTimeout
	server := newRelayServer(r)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		assert.Check(t, server.Close())
		assert.Check(t, is.ErrorIs(<-served, http.ErrServerClosed))
		r.close()
	})
	return r, fmt.Sprintf("http://127.0.0.1:%d%s", opened.Addr().(*net.TCPAddr).Port, below)
}

// request sends a request and returns the status and the body.
func request(t *testing.T, method, url string) (int, string) {
	t.Helper()
	status, body, err := tryRequest(t.Context(), method, url)
	assert.NilError(t, err)
	return status, body
}

func tryRequest(ctx context.Context, method, url string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, "", err
	}
	noRedirects := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := noRedirects.Do(request)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), errors.Join(err, response.Body.Close())
}

// requestInParallel sends many requests in parallel, and returns the different answers.
func requestInParallel(t *testing.T, url string) []string {
	t.Helper()
	const many = 50
	answers := make([]string, many)
	var group errgroup.Group
	for i := range many {
		group.Go(func() error {
			status, body, err := tryRequest(t.Context(), http.MethodGet, url)
			answers[i] = fmt.Sprint(status, " ", body)
			return err
		})
	}
	assert.NilError(t, group.Wait())
	slices.Sort(answers)
	return slices.Compact(answers)
}

func TestRelayProxyStartsOnce(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	_, relay := relayOf(t, s)
	assert.Check(t, is.Len(s.started(), 0), "before the first request")
	assert.Check(t, is.DeepEqual(requestInParallel(t, relay+"/servers/2/foo"), []string{"200 two /foo"}))
	assert.Check(t, is.DeepEqual(requestInParallel(t, relay+"/servers/2/bar"), []string{"200 two /bar"}))
	assert.Check(t, is.DeepEqual(s.started(), []int{1}))
}

func TestRelayProxyStartsInParallel(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	var both sync.WaitGroup
	both.Add(2)
	s.starting = func(context.Context, int) error { // each waits for the other
		both.Done()
		both.Wait()
		return nil
	}
	_, relay := relayOf(t, s)
	var group errgroup.Group
	for _, url := range []string{relay + "/servers/1/", relay + "/servers/2/"} {
		group.Go(func() error {
			_, _, err := tryRequest(t.Context(), http.MethodGet, url)
			return err
		})
	}
	assert.NilError(t, group.Wait())
}

// All requests that wait for a start get its failure immediately; a later request starts
// another server.
func TestRelayProxyStartFails(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	arrived, proceed := make(chan struct{}), make(chan struct{})
	s.starting = func(context.Context, int) error {
		if len(s.started()) > 1 {
			return nil
		}
		close(arrived)
		<-proceed
		return errors.New("no luck\x1b[31m today")
	}
	r, relay := relayOf(t, s)
	answers := make(chan []string, 1)
	go func() { answers <- requestInParallel(t, relay+"/servers/1/foo") }()
	<-arrived
	// All requests meanwhile wait for this start.
	first, err := r.slots[0].currentLaunch()
	assert.NilError(t, err)
	close(proceed)
	assert.ErrorContains(t, first.await(t.Context()), "no luck")
	for _, answer := range <-answers {
		if answer != "200 one /foo" { // of a request that arrived after the failure
			assert.Check(t, is.Equal(answer, "502 server 1 cannot be reached: no luck\\x1b[31m today\n"))
		}
	}
	status, body := request(t, http.MethodGet, relay+"/servers/1/foo")
	assert.Check(t, is.Equal(status, 200), "%s", body)
	assert.Check(t, is.Len(s.started(), 2))
	assert.Check(t, is.Len(s.stopped(), 0), "no server was started")
}

func TestRelayProxyServerDies(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	_, relay := relayOf(t, s)
	for _, url := range []string{relay + "/servers/1/foo", relay + "/servers/2/foo"} {
		status, _ := request(t, http.MethodGet, url)
		assert.Equal(t, status, 200)
	}
	s.latest(0).end()
	status, body := request(t, http.MethodGet, relay+"/servers/1/foo")
	assert.Check(t, is.Equal(status, 200), "no new server is started: %s", body)
	assert.Check(t, is.DeepEqual(s.started()[2:], []int{0}), "the other server still runs")
	assert.Check(t, is.DeepEqual(s.stopped(), []int{0}), "the server that has exited is removed")
	status, _ = request(t, http.MethodGet, relay+"/servers/2/foo")
	assert.Check(t, is.Equal(status, 200))
}

// A server ends during a request, or does not listen although its container runs.
func TestRelayProxyServerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	requested := make(chan struct{}, 1)
	s.handler = func(string) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			requested <- struct{}{}
			<-r.Context().Done()
		})
	}
	_, relay := relayOf(t, s)
	answer := make(chan string, 1)
	go func() {
		status, body, err := tryRequest(t.Context(), http.MethodGet, relay+"/servers/1/foo")
		answer <- fmt.Sprint(status, " ", body, err)
	}()
	<-requested
	one := s.latest(0)
	one.http.CloseClientConnections()
	assert.Check(t, is.Contains(<-answer, "502 server 1 did not answer: "))
	one.http.Close()
	status, body := request(t, http.MethodGet, relay+"/servers/1/foo")
	assert.Check(t, is.Equal(status, 502))
	// A parallel test may get the port that is free again, and close it.
	assert.Check(t, is.Regexp(`^server 1 did not answer: .*connection (refused|reset by peer): send the request again; a new one is started if it has exited\n$`, body))
	assert.Check(t, is.Len(s.started(), 1), "its container runs")
}

func TestRelayProxyStops(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	_, relay := relayOf(t, s)
	status, _ := request(t, http.MethodDelete, relay+"/servers/1")
	assert.Check(t, is.Equal(status, 204), "a server that has not been started")
	_, _ = request(t, http.MethodGet, relay+"/servers/1/foo")
	_, _ = request(t, http.MethodGet, relay+"/servers/2/foo")
	for range 2 {
		status, body := request(t, http.MethodDelete, relay+"/servers/1")
		assert.Check(t, is.Equal(status, 204), "%s", body)
	}
	assert.Check(t, is.DeepEqual(s.stopped(), []int{0}))
	_, body := request(t, http.MethodGet, relay+"/servers/1/foo")
	assert.Check(t, is.Equal(body, "one /foo"))
	assert.Check(t, is.DeepEqual(s.started(), []int{0, 1, 0}))

	s.stopping = func(int) error { return errors.New("the engine is on holiday") }
	status, body = request(t, http.MethodDelete, relay+"/servers/2")
	assert.Check(t, is.Equal(status, 500))
	assert.Check(t, is.Equal(body, "server 2 cannot be stopped: the engine is on holiday\n"))
}

// Stopping a server that is being started ends the start, and the requests that wait for
// it.
func TestRelayProxyStopsStart(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	arrived := make(chan struct{})
	s.starting = func(ctx context.Context, _ int) error {
		close(arrived)
		<-ctx.Done()
		return ctx.Err()
	}
	_, relay := relayOf(t, s)
	answer := make(chan string, 1)
	go func() {
		status, body, err := tryRequest(t.Context(), http.MethodGet, relay+"/servers/1/foo")
		answer <- fmt.Sprint(status, " ", body, err)
	}()
	<-arrived
	status, _ := request(t, http.MethodDelete, relay+"/servers/1")
	assert.Check(t, is.Equal(status, 204))
	assert.Check(t, is.Equal(<-answer, "502 server 1 cannot be reached: it has been stopped: send the request again to start a new one\n<nil>"))
}

func TestRelayProxyUnknownPaths(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	_, relay := relayOf(t, s)
	for _, path := range []string{
		"", "/foo", "/servers", "/servers/", "/servers//", "/servers/0/foo", "/servers/3/foo", "/servers/-1/", "/servers/+1/",
		"/servers/01/", "/servers/1x/", "/servers/one/foo", "/Servers/1/", "/servers/99999999999999999999/", "/servers%2F1/foo",
	} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			status, body := request(t, method, relay+path)
			assert.Check(t, is.Equal(status, 404), "%s %s", method, path)
			assert.Check(t, is.Equal(body, "no such server: the servers are servers/1/ to servers/2/\n"))
		}
	}
	status, _ := request(t, http.MethodGet, relay+"/servers/1?a=b")
	assert.Check(t, is.Equal(status, 307))
	assert.Check(t, is.Len(s.started(), 0))
}

// The request line arrives as it was sent, without the prefix of the server.
func TestRelayProxyPassesPaths(t *testing.T) {
	t.Parallel()
	_, relay := relayOf(t, newServers(t))
	for _, path := range []string{
		"/", "/foo", "/foo/", "//", "/a//b", "/a/../b", "/./", "/a%2Fb", "/a%2f..%2fb", "/%2e%2e/", "/%20%41", "/%C3%A9",
		"/servers/2/foo", "/foo?", "/foo?a=b&a=c", "/foo?a;b", "/foo?%zz", "/foo?a=%2F+%20", "/a:b@c!$&'()*+,;=", "/%25",
	} {
		assert.Check(t, is.Equal(rawGet(t, relay, "/servers/1"+path), "one "+path))
	}
}

// rawGet sends a request line unchanged, which a client library would not.
func rawGet(t *testing.T, base, path string) string {
	t.Helper()
	address := strings.TrimSuffix(strings.TrimPrefix(base, "http://"), below)
	conn, err := net.Dial("tcp", address)
	assert.NilError(t, err)
	defer func() { assert.Check(t, conn.Close()) }()
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", below+path, address)
	assert.NilError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	assert.NilError(t, err)
	body, err := io.ReadAll(response.Body)
	assert.NilError(t, err)
	assert.NilError(t, response.Body.Close())
	return string(body)
}

// Bodies and headers arrive unchanged in both directions, except for the headers that a
// proxy adds.
func TestRelayProxyPassesContent(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	s.handler = func(string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			for _, name := range []string{"Accept-Encoding", "X-Mine", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Connection"} {
				_, _ = fmt.Fprintf(w.(io.Writer), "%s=%s\n", name, r.Header.Get(name))
			}
			_, _ = fmt.Fprintf(w, "%s %d", r.Method, len(body))
		})
	}
	_, relay := relayOf(t, s)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, relay+"/servers/1/", bytes.NewReader(make([]byte, 1<<20)))
	assert.NilError(t, err)
	request.Host = ownedBy
	request.Header.Set("X-Mine", "yes")
	request.Header.Set("X-Forwarded-For", "192.0.2.1") // any client can set it
	uncompressed := http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	response, err := uncompressed.Do(request)
	assert.NilError(t, err)
	body, err := io.ReadAll(response.Body)
	assert.NilError(t, err)
	assert.NilError(t, response.Body.Close())
	assert.Check(t, is.Equal(string(body), "Accept-Encoding=\nX-Mine=yes\nX-Forwarded-For=127.0.0.1\n"+
		"X-Forwarded-Host="+ownedBy+"\nX-Forwarded-Proto=http\nConnection=\nPUT 1048576"))
}

// Streamed data arrives when it is sent, not when a buffer is full.
func TestRelayProxyStreams(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	next := make(chan string)
	s.handler = func(string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for line := range next {
				_, _ = io.WriteString(w, line+"\n")
				_ = http.NewResponseController(w).Flush()
			}
		})
	}
	_, relay := relayOf(t, s)
	go func() { next <- "first" }()
	response, err := http.Get(relay + "/servers/1/")
	assert.NilError(t, err)
	defer func() { assert.Check(t, response.Body.Close()) }()
	lines := bufio.NewReader(response.Body)
	for _, want := range []string{"first", "second", "third"} {
		line, err := lines.ReadString('\n')
		assert.NilError(t, err)
		assert.Check(t, is.Equal(line, want+"\n"))
		if want == "third" {
			close(next)
			break
		}
		next <- map[string]string{"first": "second", "second": "third"}[want]
	}
	_, err = lines.ReadByte()
	assert.Check(t, is.ErrorIs(err, io.EOF))
}

func TestRelayProxyPassesWebSockets(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	s.handler = func(string) http.Handler { return http.HandlerFunc(echo) }
	_, relay := relayOf(t, s)
	conn, _, err := websocket.Dial(t.Context(), relay+"/servers/1/ws", nil) //nolint:bodyclose // package websocket closes it
	assert.NilError(t, err)
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxMessage)
	for _, size := range []int{0, 1, 64 << 10, maxMessage} {
		message := bytes.Repeat([]byte{'x'}, size)
		assert.NilError(t, conn.Write(t.Context(), websocket.MessageBinary, message))
		kind, got, err := conn.Read(t.Context())
		assert.NilError(t, err)
		assert.Check(t, kind == websocket.MessageBinary && bytes.Equal(got, message), "%d bytes", size)
	}
	s.latest(0).end() // httptest does not close a hijacked connection, as another process would
	assert.NilError(t, conn.Close(websocket.StatusNormalClosure, "done"))
}

// A request that its client cancels during the start ends immediately; the start goes on
// for the next request.
func TestRelayProxyRequestIsCancelled(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	arrived, proceed := make(chan struct{}), make(chan struct{})
	s.starting = func(ctx context.Context, _ int) error {
		close(arrived)
		<-proceed
		return ctx.Err()
	}
	r, _ := relayOf(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, below+"/servers/1/foo", nil))
	}()
	<-arrived
	cancel()
	<-answered
	close(proceed)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, below+"/servers/1/foo", nil))
	assert.Check(t, is.Equal(w.Code, 200), "%s", w.Body)
	assert.Check(t, is.DeepEqual(s.started(), []int{0}))
}

// close cancels a start, waits for its end, and lets nothing else begin.
func TestRelayProxyCloses(t *testing.T) {
	t.Parallel()
	s := newServers(t)
	arrived := make(chan struct{})
	ended := false
	s.starting = func(ctx context.Context, _ int) error {
		close(arrived)
		<-ctx.Done()
		ended = true // the race detector sees a close that does not wait
		return ctx.Err()
	}
	r := newProxy(t, s)
	l, err := r.slots[0].currentLaunch()
	assert.NilError(t, err)
	<-arrived
	r.close()
	assert.Check(t, ended)
	assert.Check(t, is.ErrorIs(l.await(t.Context()), context.Canceled))
	for _, request := range []struct{ method, path string }{{http.MethodGet, "/servers/2/foo"}, {http.MethodDelete, "/servers/1"}} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), request.method, below+request.path, nil))
		assert.Check(t, w.Code >= 500, "%s: %d", request.path, w.Code)
		assert.Check(t, is.Contains(w.Body.String(), "the relay is ending"))
	}
	assert.Check(t, is.Len(s.started(), 1))
}
