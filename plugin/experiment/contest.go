package experiment

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// Pauses between tries of an address that is not ready. The first is about what
// a server in a fresh container takes to listen; the longest bounds how much
// later than possible an answer is seen.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = 250 * time.Millisecond
)

// After one address has answered, the others get this many times as long as it
// took, which allows for a forwarder on the way, and never less than minBound:
// with 17 processes waiting for two cores, docker-proxy was seen to need more
// than 100 ms for its first answer.
const (
	boundFactor = 10
	minBound    = 500 * time.Millisecond
)

// contest tries all candidates of one server at once.
type contest struct {
	probe   func(context.Context, netprobe.Target, netprobe.Options) netprobe.Result
	options netprobe.Options

	bound atomic.Int64 // nanoseconds for a last try; set by the first answer
}

// entry is one candidate in a contest and what became of it.
type entry struct {
	candidate Candidate
	target    netprobe.Target
	grace     time.Duration // how much longer than for the first answer to try it
	attempts  int
	result    netprobe.Result // of the last attempt
}

// run returns when each candidate has answered, has failed for good, or has
// had its last try: after the first answer, or when ctx ends.
func (c *contest) run(ctx context.Context, entries []*entry) {
	open, settle := context.WithCancel(ctx) // until the first answer
	defer settle()
	var group errgroup.Group
	for _, e := range entries {
		group.Go(func() error {
			c.try(ctx, open, settle, e)
			return nil
		})
	}
	_ = group.Wait() // its functions return no errors
}

// try tries one candidate until its fate is known, or open ends; then for its
// grace, and at last once more.
func (c *contest) try(ctx, open context.Context, settle func(), e *entry) {
	if c.untilAnswer(open, settle, e) {
		return
	}
	if e.grace > 0 {
		grace, cancel := context.WithTimeout(ctx, e.grace)
		defer cancel()
		if c.untilAnswer(grace, settle, e) {
			return
		}
	}
	if !over(ctx) {
		c.lastTry(ctx, e)
	}
}

// untilAnswer tries a candidate again and again while its failure may be that
// of a server that is not ready. It returns false when open ended before the
// candidate's fate was known.
func (c *contest) untilAnswer(open context.Context, settle func(), e *entry) bool {
	pauses := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(firstPause),
		backoff.WithMaxInterval(longestPause),
		backoff.WithMaxElapsedTime(0), // ctx is the limit
	)
	for {
		result := c.probe(open, e.target, c.options)
		if over(open) && !result.OK {
			keepTimeout(open, e, result)
			return false
		}
		e.record(result)
		if answered(result) {
			c.setBound(result.Timings.Connect + result.Timings.FirstByte)
			settle()
			return true
		}
		if !notReady(result) {
			return true
		}
		if !pause(open, pauses.NextBackOff()) {
			return false
		}
	}
}

// keepTimeout records an attempt that the end of the wait cut off, if there was
// none before, or none that came as far: the address did not answer in all that
// time. An attempt that was cancelled says nothing.
func keepTimeout(open context.Context, e *entry, result netprobe.Result) {
	further := e.attempts == 0 || slices.Index(phases, result.Phase) > slices.Index(phases, e.result.Phase)
	if further && !errors.Is(open.Err(), context.Canceled) {
		e.record(result)
	}
}

// phases are those of a probe, in the order in which they are reached.
var phases = []netprobe.Phase{
	netprobe.PhaseResolve,
	netprobe.PhaseConnect,
	netprobe.PhaseTLS,
	netprobe.PhaseRequest,
	netprobe.PhaseAnswer,
	netprobe.PhaseWebSocket,
}

// over says whether ctx has ended, or is about to: an attempt that its deadline
// cuts off may return a moment before ctx notices.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// lastTry tries a candidate once, for as long as the answer of another one
// allows.
func (c *contest) lastTry(ctx context.Context, e *entry) {
	options := c.options
	options.Timeout = min(options.Timeout, time.Duration(c.bound.Load()))
	if result := c.probe(ctx, e.target, options); result.OK || !over(ctx) {
		e.record(result)
	}
}

func (c *contest) setBound(roundTrip time.Duration) {
	c.bound.CompareAndSwap(0, int64(max(minBound, boundFactor*roundTrip)))
}

func (e *entry) record(result netprobe.Result) {
	e.attempts++
	e.result = result
}

// answered says whether the server that was meant has answered, well or not:
// with another status, with a certificate nobody trusts, with no HTTP at all. A
// stranger's answer does not count.
func answered(r netprobe.Result) bool {
	if r.OK {
		return true
	}
	spoke := r.Phase == netprobe.PhaseTLS || r.Phase == netprobe.PhaseAnswer || r.Phase == netprobe.PhaseWebSocket
	return spoke && r.Identity != netprobe.IdentityMismatch && !notReady(r)
}

// notReady says whether trying again may help. 503 is a server's own word for
// being there but not ready (RFC 9110, section 15.6.4).
func notReady(r netprobe.Result) bool {
	return !r.OK && (r.Failure.Retryable() || r.Status == http.StatusServiceUnavailable)
}

// pause waits and says whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
