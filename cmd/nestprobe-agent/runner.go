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

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
)

// fleet starts and stops servers; experiment.Fleet is one.
type fleet interface {
	Start(ctx context.Context, index int, identity string) (*experiment.Running, error)
	Stop(ctx context.Context, running *experiment.Running) error
}

// runner passes requests for /servers/N/… through to server N as /…, and starts
// it if it is not running. DELETE /servers/N stops it.
type runner struct {
	fleet fleet
	slots []*slot
	ctx   context.Context //nolint:containedctx // servers outlive the requests that started them
	stop  context.CancelFunc

	mu     sync.Mutex
	closed bool
	work   sync.WaitGroup // servers that are being started or stopped
}

func newRunner(ctx context.Context, f fleet, identities []string) *runner {
	r := &runner{fleet: f}
	r.ctx, r.stop = context.WithCancel(ctx)
	for i, identity := range identities {
		r.slots = append(r.slots, &slot{runner: r, number: i + 1, identity: identity})
	}
	return r
}

// close gives up what is being started or stopped and waits for its end. The
// servers that run are left to the fleet. Later requests are refused.
func (r *runner) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.work.Wait()
}

var errClosed = errors.New("the runner is ending")

// begin says whether there may be work; its end is to be told to r.work.
func (r *runner) begin() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	r.work.Add(1)
	return nil
}

// ServeHTTP takes paths as they were sent. [http.ServeMux] would tidy up what is
// the server's business.
func (r *runner) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	number, rest, ok := route(request.URL.EscapedPath())
	if !ok || number > len(r.slots) {
		http.Error(w, fmt.Sprintf("there is no such server: they are /servers/1/ to /servers/%d/", len(r.slots)), http.StatusNotFound)
		return
	}
	s := r.slots[number-1]
	switch {
	case rest != "":
		s.proxyRequest(w, request)
	case request.Method == http.MethodDelete:
		s.stopServer(w)
	default: // relative links of the server's are below it
		target := url.URL{Path: request.URL.Path + "/", RawQuery: request.URL.RawQuery}
		http.Redirect(w, request, target.String(), http.StatusTemporaryRedirect)
	}
}

// route splits a path, as it was sent, into the number of a server and the path
// there, which is empty if not even a slash follows.
func route(escaped string) (number int, rest string, ok bool) {
	below, ok := strings.CutPrefix(escaped, "/servers/")
	if !ok {
		return 0, "", false
	}
	digits, _, _ := strings.Cut(below, "/")
	number, err := strconv.Atoi(digits)
	if err != nil || number < 1 || strconv.Itoa(number) != digits {
		return 0, "", false
	}
	return number, below[len(digits):], true
}

// slot is the place of one server.
type slot struct {
	runner   *runner
	number   int // from 1
	identity string

	mu     sync.Mutex
	latest *launch // nil before the first
}

// pass has the server answer, which is started if there is none.
func (s *slot) proxyRequest(w http.ResponseWriter, request *http.Request) {
	l, err := s.currentLaunch()
	if err == nil {
		err = l.await(request.Context())
	}
	if err != nil {
		s.reportError(w, http.StatusBadGateway, "cannot be reached", err)
		return
	}
	l.proxy.ServeHTTP(w, request)
}

func (s *slot) stopServer(w http.ResponseWriter) {
	s.mu.Lock()
	l := s.latest
	s.mu.Unlock()
	if l == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	err := s.runner.begin()
	if err == nil {
		defer s.runner.work.Done()
		err = l.end()
	}
	if err != nil {
		s.reportError(w, http.StatusInternalServerError, "cannot be stopped", err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// maxSentence bounds what is quoted of an engine.
const maxSentence = 1 << 10

func (s *slot) reportError(w http.ResponseWriter, status int, what string, err error) {
	// Said on behalf of the server: a client that asks who answers is at the right
	// place, and the status says that all is not well there.
	w.Header().Set(netprobe.IdentityHeader, s.identity)
	http.Error(w, fmt.Sprintf("server %d %s: %s", s.number, what, netprobe.Visible(err.Error(), maxSentence)), status)
}

// wanted returns the server that runs or is being started, or has one started.
// Whoever asks while it is being started shares its fate; after a failure, the
// next request has another one started.
func (s *slot) currentLaunch() (*launch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest != nil && !s.latest.isOver() {
		return s.latest, nil
	}
	if err := s.runner.begin(); err != nil {
		return nil, err
	}
	l := newLaunch(s)
	go func(earlier *launch) { // awaited by runner.close
		defer s.runner.work.Done()
		l.start(earlier)
	}(s.latest)
	s.latest = l
	return l, nil
}

// launch is one server of a slot, from the request that wants it to its end.
type launch struct {
	slot   *slot
	ctx    context.Context //nolint:containedctx // of the start, which outlives the request that wants it
	cancel context.CancelCauseFunc
	ended  func() error // stops the server, once

	done    chan struct{} // closed when the rest is known
	running *experiment.Running
	proxy   *httputil.ReverseProxy
	err     error
}

func newLaunch(s *slot) *launch {
	l := &launch{slot: s, done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancelCause(s.runner.ctx)
	l.ended = sync.OnceValue(func() error {
		<-l.done
		if l.running == nil {
			return nil
		}
		return s.runner.fleet.Stop(s.runner.ctx, l.running)
	})
	return l
}

var errStopped = errors.New("it has been stopped: ask again to have a new one started")

// start starts the server when the earlier one is gone, whose name or port it
// may need.
func (l *launch) start(earlier *launch) {
	defer close(l.done)
	if earlier != nil {
		if l.err = earlier.end(); l.err != nil {
			return
		}
	}
	l.running, l.err = l.slot.runner.fleet.Start(l.ctx, l.slot.number-1, l.slot.identity)
	if cause := context.Cause(l.ctx); l.err != nil && errors.Is(cause, errStopped) {
		l.err = cause
	}
	if l.err == nil {
		l.proxy, l.err = l.newProxy()
	}
}

// await returns when the server runs, or why it does not.
func (l *launch) await(ctx context.Context) error {
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// over says whether this is a server for nobody any more.
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

// end stops the server, or gives up its start, and returns when it is gone.
func (l *launch) end() error {
	l.cancel(errStopped)
	return l.ended()
}

// dialTimeout bounds a connection within one engine, which takes less than a
// millisecond, to a server whose backlog may be full.
const dialTimeout = 10 * time.Second

// keptIdle is shorter than the five seconds after which common servers (Node.js)
// close what is idle, which a request that is under way just then would meet.
const keptIdle = 4 * time.Second

func (l *launch) newProxy() (*httputil.ReverseProxy, error) {
	base, err := url.Parse(l.running.URL)
	if err != nil {
		return nil, fmt.Errorf("the server's own address: %w", err)
	}
	return &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { rewrite(r, base) },
		ErrorHandler:  l.answerForServer,
		ErrorLog:      log.New(io.Discard, "", 0), // a broken answer is seen by its client
		FlushInterval: -1,                         // what a server streams arrives when it is sent
		Transport: &http.Transport{
			Proxy:               nil, // the server is right here
			DialContext:         l.dial,
			DisableCompression:  true, // that is between client and server
			MaxIdleConnsPerHost: 100,
			IdleConnTimeout:     keptIdle,
		},
	}, nil
}

// dial connects to the server. An address that has lost its server may say
// nothing for seconds, so it ends with that.
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

// rewrite asks the server for what follows its number, to the letter.
func rewrite(r *httputil.ProxyRequest, base *url.URL) {
	_, rest, _ := route(r.In.URL.EscapedPath())
	r.Out.URL.Scheme, r.Out.URL.Host = base.Scheme, base.Host
	r.Out.URL.RawPath = rest
	r.Out.URL.Path, _ = url.PathUnescape(rest) // the client's request would not have been read
	r.Out.URL.RawQuery = r.In.URL.RawQuery     // what package httputil does not understand included
	r.Out.Host = ""
	r.SetXForwarded()
}

// gone answers for a server that did not.
func (l *launch) answerForServer(w http.ResponseWriter, _ *http.Request, err error) {
	advice := "ask again, and a new one is started if it has ended"
	if l.isOver() {
		err, advice = errors.New("it has ended"), "ask again to have a new one started"
	}
	l.slot.reportError(w, http.StatusBadGateway, "did not answer", fmt.Errorf("%w: %s", err, advice))
}
