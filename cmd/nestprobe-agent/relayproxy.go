package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/client"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
)

// onDemandServers starts and stops servers, as experiment.OnDemandServers does.
type onDemandServers interface {
	Start(ctx context.Context, index int, identity string) (*experiment.Running, error)
	Stop(ctx context.Context, running *experiment.Running) error
}

// relayProxy proxies requests for /TOKEN/servers/N/… to server N as /…, and starts the server
// if it does not run. PUT /TOKEN/servers/N only starts it, and DELETE stops it.
type relayProxy struct {
	gate    gate
	servers onDemandServers
	starts  *rate.Limiter
	slots   []*slot
	buffers bufferPool
	ctx     context.Context //nolint:containedctx // servers outlive the requests that started them
	stop    context.CancelFunc

	mu   sync.Mutex     // so that nothing is added to work after close
	work sync.WaitGroup // servers that are being started or stopped
}

// A start takes an engine some 0.3 s of work. All servers may be started at once, and two of
// them again. After that, a client that stops servers, or requests one that exits, waits.
const (
	startInterval = time.Second
	startsAgain   = 2
)

func newRelayProxy(ctx context.Context, servers onDemandServers, access client.RelayAccess, identities []string) *relayProxy {
	p := &relayProxy{
		gate:    gate{access},
		servers: servers,
		starts:  rate.NewLimiter(rate.Every(startInterval), len(identities)+startsAgain),
	}
	p.ctx, p.stop = context.WithCancel(ctx)
	for i, identity := range identities {
		p.slots = append(p.slots, &slot{proxy: p, number: i + 1, prefix: fmt.Sprintf("/servers/%d", i+1), identity: identity})
	}
	return p
}

// close cancels the starts and stops of servers and waits for their end. The caller
// removes the servers that run. Later requests are refused.
func (p *relayProxy) close() {
	p.mu.Lock()
	p.stop()
	p.mu.Unlock()
	p.work.Wait()
}

var errClosed = errors.New("the relay is ending")

// begin runs a start or stop in a goroutine, which close waits for. It returns an error
// after close.
func (p *relayProxy) begin(work func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return errClosed
	}
	p.work.Go(work)
	return nil
}

// ServeHTTP uses paths as they were sent. [http.ServeMux] would clean them, which only the
// server may do.
func (p *relayProxy) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if refusal := p.gate.refusal(request); refusal != "" {
		w.Header().Set("Connection", "close") // no connection is held without the token
		http.Error(w, refusal, http.StatusForbidden)
		return
	}
	path := p.gate.below(request)
	s, inside := p.slotOf(path)
	switch {
	case path == "/":
		w.Header().Set(netprobe.IdentityHeader, p.slots[0].identity)
		_, _ = fmt.Fprintf(w, "the servers are servers/1/ to servers/%d/\n", len(p.slots)) // an error: the client has gone
	case s == nil:
		http.Error(w, fmt.Sprintf("no such server: the servers are servers/1/ to servers/%d/", len(p.slots)), http.StatusNotFound)
	case inside:
		s.proxyRequest(w, request)
	case request.Method == http.MethodPut:
		s.startServer(w, request)
	case request.Method == http.MethodDelete:
		s.stopServer(w)
	default: // so that relative links in the server's answers work
		target := url.URL{Path: strconv.Itoa(s.number) + "/", RawQuery: request.URL.RawQuery}
		w.Header().Set("Location", target.String()) // relative, since the path may have the token
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// slotOf returns the server that a path, as it was sent, belongs to, and whether a slash
// follows its number.
func (p *relayProxy) slotOf(escaped string) (found *slot, inside bool) {
	for _, s := range p.slots {
		if rest, ok := strings.CutPrefix(escaped, s.prefix); ok && (rest == "" || rest[0] == '/') {
			return s, rest != ""
		}
	}
	return nil, false
}

// bufferPool keeps the buffers with which answers are copied; see [httputil.BufferPool].
type bufferPool struct{ pool sync.Pool }

// copyBuffer is the size of a buffer in bytes, that of package httputil.
const copyBuffer = 32 << 10

// Get returns a buffer.
func (b *bufferPool) Get() []byte {
	if buffer, ok := b.pool.Get().(*[copyBuffer]byte); ok {
		return buffer[:]
	}
	return make([]byte, copyBuffer)
}

// Put keeps a buffer for another answer.
func (b *bufferPool) Put(buffer []byte) { b.pool.Put((*[copyBuffer]byte)(buffer)) }

// slot is one server of the relay, which may be started several times.
type slot struct {
	proxy    *relayProxy
	number   int    // from 1
	prefix   string // of its paths below the token, without a slash at the end
	identity string

	mu     sync.Mutex
	latest *launch // nil before the first launch
}

// proxyRequest proxies a request to the server, which is started if it does not run.
func (s *slot) proxyRequest(w http.ResponseWriter, request *http.Request) {
	if l := s.awaitLaunch(w, request); l != nil {
		// Else package http cuts the body of the request off when the answer begins. An
		// error: there is no HTTP/1 connection, in a test.
		_ = http.NewResponseController(w).EnableFullDuplex()
		l.proxy.ServeHTTP(w, request)
	}
}

// startServer starts the server if it does not run.
func (s *slot) startServer(w http.ResponseWriter, request *http.Request) {
	if l := s.awaitLaunch(w, request); l != nil {
		w.Header().Set(netprobe.IdentityHeader, s.identity)
		w.WriteHeader(http.StatusNoContent)
	}
}

// awaitLaunch returns the server that runs. If none can be started, it answers why, and
// returns nil.
func (s *slot) awaitLaunch(w http.ResponseWriter, request *http.Request) *launch {
	l, err := s.currentLaunch()
	if err == nil {
		err = l.await(request.Context())
	}
	if err != nil {
		s.reportError(w, http.StatusBadGateway, "cannot be reached", err)
		return nil
	}
	return l
}

func (s *slot) stopServer(w http.ResponseWriter) {
	s.mu.Lock()
	l := s.latest
	s.mu.Unlock()
	if l == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	stopped := make(chan error, 1)
	err := s.proxy.begin(func() { stopped <- l.end() })
	if err == nil {
		err = <-stopped
	}
	if err != nil {
		s.reportError(w, http.StatusInternalServerError, "cannot be stopped", err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// maxSentence bounds what is quoted from an engine, in bytes.
const maxSentence = 1 << 10

func (s *slot) reportError(w http.ResponseWriter, status int, what string, err error) {
	// The relay answers for the server, so the answer has the server's identity: the
	// address is right. The status says that the server has a problem.
	w.Header().Set(netprobe.IdentityHeader, s.identity)
	http.Error(w, fmt.Sprintf("server %d %s: %s", s.number, what, netprobe.Visible(err.Error(), maxSentence)), status)
}

// currentLaunch returns the server that runs or is being started, and starts one if there
// is none. All requests during a start get its result; after a failure, the next request
// starts another server.
func (s *slot) currentLaunch() (*launch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest != nil && !s.latest.isOver() {
		return s.latest, nil
	}
	l, earlier := newLaunch(s), s.latest
	if err := s.proxy.begin(func() { l.start(earlier) }); err != nil {
		return nil, err
	}
	s.latest = l
	return l, nil
}

// launch is one server of a slot, from the request that starts it to its end.
type launch struct {
	slot   *slot
	ctx    context.Context //nolint:containedctx // of the start, which outlives the request
	cancel context.CancelCauseFunc
	ended  func() error // stops the server, once

	done    chan struct{} // closed when the fields below are set
	running *experiment.Running
	proxy   http.Handler
	err     error
}

func newLaunch(s *slot) *launch {
	l := &launch{slot: s, done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancelCause(s.proxy.ctx)
	l.ended = sync.OnceValue(func() error {
		<-l.done
		if l.running == nil {
			return nil
		}
		return s.proxy.servers.Stop(s.proxy.ctx, l.running)
	})
	return l
}

var errStopped = errors.New("it has been stopped: send the request again to start a new one")

// start starts the server after the earlier one has been removed, since it may need the
// same name or port.
func (l *launch) start(earlier *launch) {
	defer close(l.done)
	if earlier != nil {
		if l.err = earlier.end(); l.err != nil {
			return
		}
	}
	if l.err = l.slot.proxy.starts.Wait(l.ctx); l.err == nil {
		l.running, l.err = l.slot.proxy.servers.Start(l.ctx, l.slot.number-1, l.slot.identity)
	}
	if cause := context.Cause(l.ctx); l.err != nil && errors.Is(cause, errStopped) {
		l.err = cause
	}
	if l.err == nil {
		l.proxy, l.err = l.newProxy()
	}
}

// await returns when the server runs, or returns why it does not.
func (l *launch) await(ctx context.Context) error {
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// isOver says whether the server has failed to start, is being stopped or has exited.
func (l *launch) isOver() bool {
	select {
	case <-l.done:
		return l.err != nil || l.ctx.Err() != nil || l.exited()
	default:
		return l.ctx.Err() != nil
	}
}

// exited says whether the server that was started has exited.
func (l *launch) exited() bool {
	select {
	case <-l.running.Exited:
		return true
	default:
		return false
	}
}

// end stops the server, or cancels its start, and returns when it has been removed.
func (l *launch) end() error {
	l.cancel(errStopped)
	return l.ended()
}

// dialTimeout bounds a connection within one engine, which takes less than a millisecond
// unless the server's accept queue is full.
const dialTimeout = 10 * time.Second

// idleProxyTimeout is shorter than the five seconds after which common servers (Node.js)
// close idle connections: a request on a connection that is just being closed fails.
const idleProxyTimeout = 4 * time.Second

// flushInterval is how long a part of an answer may wait for more of it. An answer whose
// length is not known, such as a stream of events, never waits (package httputil). Without
// an interval, the header of every answer would be a packet of its own.
const flushInterval = 10 * time.Millisecond

func (l *launch) newProxy() (http.Handler, error) {
	base, err := url.Parse(l.running.URL)
	if err != nil {
		return nil, fmt.Errorf("parsing the server's address: %w", err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			_, r.Out.URL.Path, _ = strings.Cut(r.Out.URL.Path, l.slot.prefix)
			_, r.Out.URL.RawPath, _ = strings.Cut(r.Out.URL.RawPath, l.slot.prefix)
			l.slot.proxy.gate.hide(r.Out.Header)
			r.SetURL(&url.URL{Scheme: base.Scheme, Host: base.Host})
			r.Out.Host = l.running.Host            // empty for that of the URL
			r.Out.URL.RawQuery = r.In.URL.RawQuery // including what package httputil cannot parse
			r.Out.Trailer = r.In.Trailer           // not a copy: it is filled in at the end of the body
			r.SetXForwarded()
		},
		ErrorHandler:  l.answerForServer,
		ErrorLog:      log.New(io.Discard, "", 0), // the client sees a broken answer
		FlushInterval: flushInterval,
		BufferPool:    &l.slot.proxy.buffers,
		Transport: &http.Transport{
			Proxy:               nil, // the server is on the same engine
			DialContext:         l.dial,
			DisableCompression:  true, // the client and the server choose it
			MaxIdleConnsPerHost: 100,
			IdleConnTimeout:     idleProxyTimeout,
			// A server may refuse a body before it is sent.
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: relayHeaderBytes,
		},
	}, nil
}

// dial connects to the server. It ends when the server exits, since the address may then
// not answer for seconds.
func (l *launch) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	watched := make(chan struct{})
	go func() { // awaited below
		defer close(watched)
		select {
		case <-l.running.Exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer func() { cancel(); <-watched }()
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, address)
}

// answerForServer answers a request that the server did not answer.
func (l *launch) answerForServer(w http.ResponseWriter, _ *http.Request, err error) {
	hint := "send the request again; a new one is started if it has exited"
	if l.isOver() {
		err, hint = errors.New("it has exited"), "send the request again to start a new one"
	}
	l.slot.reportError(w, http.StatusBadGateway, "did not answer", fmt.Errorf("%w: %s", err, hint))
}
