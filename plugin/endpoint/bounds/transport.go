package bounds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/refusal"
)

// Transport sends the calls of docker's client within Limits.
type Transport struct {
	next   http.RoundTripper
	limits Limits
	large  chan struct{} // holds a value while a large answer is read

	mu     sync.Mutex
	notify func(string)
}

// NewTransport returns a Transport that sends its calls through another one, whose
// MaxResponseHeaderBytes it sets.
func NewTransport(next *http.Transport, limits Limits) *Transport {
	next.MaxResponseHeaderBytes = MaxHeader
	return &Transport{next: next, limits: limits, large: make(chan struct{}, 1)}
}

// OnWait has a function called with what is being waited for when a call takes longer than
// Limits.Notice. Several goroutines may call it in parallel.
func (t *Transport) OnWait(notify func(what string)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notify = notify
}

// RoundTrip implements http.RoundTripper. The body of an answer that switches protocols, as
// the request has asked for, is left as it is.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	c, request := t.begin(request)
	response, err := t.next.RoundTrip(request)
	if err != nil {
		defer c.end()
		if strings.Contains(err.Error(), tooLargeHeader) {
			c.fail(newWrong(c.name, "has a header larger than %s", size(MaxHeader)))
		}
		return nil, c.failure(err)
	}
	switched := response.StatusCode == http.StatusSwitchingProtocols
	if switched && request.Header.Get("Upgrade") != "" {
		c.end()
		return response, nil
	}
	if refused := refusedAnswer(c.name, response); refused != nil {
		c.fail(refused)
		c.end()
		_ = response.Body.Close()
		return nil, refused
	}
	c.answered(response.StatusCode)
	response.Body = &body{ReadCloser: response.Body, call: c, limit: t.limits.bytes(c.kind), checked: c.kind != stream}
	return response, nil
}

// tooLargeHeader is in the error of a header that exceeds MaxHeader, which has no type
// (net/http, transport.go, transportReadFromServerError and readResponse).
const tooLargeHeader = "server response headers exceeded"

// call is a call that has been sent. Its methods may be called from several goroutines.
type call struct {
	transport *Transport
	name      string // such as "GET /info"
	kind      kind
	done      <-chan struct{} // closed at the end of the call, or of its caller
	cancel    context.CancelFunc

	began    time.Time
	mu       sync.Mutex
	ended    bool
	watched  *atomic.Pointer[Error]
	deadline time.Time // when the timer ends the call, unless it has been moved on
	bound    time.Duration
	waiting  string // for what
	exceeded *Error
	timer    *time.Timer // nil if the caller bounds the call
	notice   *time.Timer
}

// begin starts the clock of a call, and returns the request to send.
func (t *Transport) begin(request *http.Request) (*call, *http.Request) {
	ctx, cancel := context.WithCancel(request.Context())
	c := &call{transport: t, began: time.Now(), name: refusal.CallOf(request), kind: kindOf(request.Method, request.URL), done: ctx.Done(), cancel: cancel}
	c.watched, _ = ctx.Value(watchedKey{}).(*atomic.Pointer[Error])
	bound := t.limits.time(c.kind)
	if bound > 0 {
		c.start(bound)
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { c.await(bound, "no answer to "+c.name) },
		})
	}
	request = request.WithContext(ctx)
	if c.kind == transfer && request.Body != nil {
		request.Body = &upload{request.Body, c}
	}
	return c, request
}

// start starts the timers of a call that has no connection yet.
func (c *call) start(bound time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	limits := c.transport.limits
	c.bound, c.waiting = limits.Connect, "no connection for "+c.name
	c.deadline = time.Now().Add(limits.Connect)
	c.timer = time.AfterFunc(limits.Connect, c.expire)
	c.notice = time.AfterFunc(limits.Notice, func() {
		c.transport.mu.Lock()
		notify := c.transport.notify
		c.transport.mu.Unlock()
		if notify != nil {
			notify(fmt.Sprintf("waiting for the engine's answer to %s, for up to %s", c.name, seconds(bound)))
		}
	})
}

// await moves the end of a call on: what it waits for now has the whole bound.
func (c *call) await(bound time.Duration, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.bound, c.waiting = bound, what
	c.deadline = time.Now().Add(bound)
	c.timer.Reset(bound)
}

// expire ends a call whose deadline has passed.
func (c *call) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	if left := time.Until(c.deadline); left > 0 { // it was moved on in the meantime
		c.timer.Reset(left)
		return
	}
	c.exceed(newLate(c.name, "%s within %s", c.waiting, seconds(c.bound)))
}

// answered is called when the header of the answer has arrived. An error is no stream.
func (c *call) answered(status int) {
	kind := c.kind
	if kind == stream && status != http.StatusOK || kind == wait && status != http.StatusOK {
		kind = query
	}
	switch kind {
	case transfer:
		c.progress()
		c.notice.Stop()
	case wait, stream:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stopTimers()
	case query, change:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.waiting = "the answer to " + c.name + " did not end" // in what is left of the bound
	case late:
	}
}

// progress moves on the end of a pull or an image load.
func (c *call) progress() { c.await(c.transport.limits.Idle, c.name+" made no progress") }

// stopTimers is called with the lock held.
func (c *call) stopTimers() {
	c.ended = true // for a timer that has fired already
	for _, timer := range []*time.Timer{c.timer, c.notice} {
		if timer != nil {
			timer.Stop()
		}
	}
}

// end stops the clock, and releases what the call holds.
func (c *call) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopTimers()
	c.cancel()
}

// fail ends a call that has exceeded a bound.
func (c *call) fail(exceeded *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.exceeded == nil {
		c.exceed(exceeded)
	}
}

// exceed is called with the lock held.
func (c *call) exceed(exceeded *Error) {
	c.exceeded = exceeded
	if c.watched != nil {
		c.watched.Store(exceeded)
	}
	c.cancel()
}

// shortBound is the least time of a caller that counts as a bound: less is what is left of
// the time for other work.
const shortBound = time.Second

// failure is the bound that the call exceeded, or err if it exceeded none. The end of the
// caller's time is a bound too, but for the first ping, of which the connection finds out more.
func (c *call) failure(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	waited := time.Since(c.began)
	switch {
	case c.exceeded != nil:
		return c.exceeded
	case errors.Is(err, context.DeadlineExceeded) && c.kind != late && waited >= shortBound:
		exceeded := newLate(c.name, "no answer to %s within %s", c.name, seconds(waited.Round(time.Second)))
		exceeded.cause = context.DeadlineExceeded
		return exceeded
	default:
		return err
	}
}

type watchedKey struct{}

// Watch returns a context for one call. Failure returns the Error of the call if there is
// one, and err if not: some functions of docker's client drop it (client/info.go).
func Watch(ctx context.Context) (watching context.Context, failure func(err error) error) {
	var watched atomic.Pointer[Error]
	return context.WithValue(ctx, watchedKey{}, &watched), func(err error) error {
		if exceeded := watched.Load(); err != nil && exceeded != nil {
			return exceeded
		}
		return err
	}
}

// upload is the body of a request. What is sent of it is progress.
type upload struct {
	io.ReadCloser
	call *call
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	u.call.progress()
	return n, err
}
