package netprobe

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/sync/errgroup"
)

// Race probes several addresses of one server in parallel. It can be sent to
// another process as JSON.
type Race struct {
	Attempts []Attempt     `json:"attempts"`
	Timeout  time.Duration `json:"timeout"`        // of one probe; 0 is DefaultTimeout
	Wait     time.Duration `json:"wait,omitempty"` // for the whole race; 0: until its context ends
	// SkipVerify accepts any certificate: the identity proves who answers.
	SkipVerify bool `json:"skipVerify,omitempty"`
	MaxSegment int  `json:"maxSegment,omitempty"` // Options.MaxSegment
}

// Attempt is one address in a race.
type Attempt struct {
	Target
	// Grace is how much longer than until the first answer the address is retried.
	Grace time.Duration `json:"grace,omitempty"`
}

// Pauses between probes of an address that is not ready. The first is about what
// a server in a fresh container takes to listen; the longest bounds how much
// later than possible an answer is seen.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = 250 * time.Millisecond
)

// After one address has answered, the others get this many times as long as it
// took, which allows for a forwarder in between, and never less than minBound:
// with 17 processes waiting for two cores, docker-proxy was seen to need more
// than 100 ms for its first answer.
const (
	boundFactor = 10
	minBound    = 500 * time.Millisecond
)

// Run returns when each address has answered, has failed for good, or has had its
// last probe: after the first answer, or when ctx or Wait ends. The results are in
// the order of Attempts. One with no attempts was never probed to its end.
func (r Race) Run(ctx context.Context) []Result {
	if r.Wait > 0 {
		waiting, cancel := context.WithTimeout(ctx, r.Wait)
		defer cancel()
		ctx = waiting
	}
	options := Options{Timeout: r.Timeout, MaxSegment: r.MaxSegment}
	if r.SkipVerify {
		options.TLS = &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, //nolint:gosec // the identity token proves who answers
		}
	}
	c := course{probe: Probe, options: options}
	return c.run(ctx, r.Attempts)
}

// course is one run of a race.
type course struct {
	probe   func(context.Context, Target, Options) Result
	options Options

	bound atomic.Int64 // nanoseconds for a last probe; set by the first answer
}

// runner is one address on its course.
type runner struct {
	Attempt
	result Result // of the last probe, with the number of all
}

func (c *course) run(ctx context.Context, attempts []Attempt) []Result {
	open, settle := context.WithCancel(ctx) // until the first answer
	defer settle()
	runners := make([]runner, len(attempts))
	var group errgroup.Group
	for i, attempt := range attempts {
		runners[i].Attempt = attempt
		group.Go(func() error {
			c.try(ctx, open, settle, &runners[i])
			return nil
		})
	}
	_ = group.Wait() // its functions return no errors
	results := make([]Result, len(runners))
	for i, r := range runners {
		results[i] = r.result
	}
	return results
}

// try probes one address until its outcome is known, or open ends; then for its
// grace, and at last once more.
func (c *course) try(ctx, open context.Context, settle func(), r *runner) {
	if c.untilAnswer(open, settle, r) {
		return
	}
	if r.Grace > 0 {
		grace, cancel := context.WithTimeout(ctx, r.Grace)
		defer cancel()
		if c.untilAnswer(grace, settle, r) {
			return
		}
	}
	if !over(ctx) {
		c.lastProbe(ctx, r)
	}
}

// untilAnswer repeats the probe while its failure may be that of a server that is
// not ready. It returns false when open ended before the outcome was known.
func (c *course) untilAnswer(open context.Context, settle func(), r *runner) bool {
	pauses := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(firstPause),
		backoff.WithMaxInterval(longestPause),
		backoff.WithMaxElapsedTime(0), // ctx is the limit
	)
	for {
		result := c.probe(open, r.Target, c.options)
		if over(open) && !result.OK {
			r.recordTimeout(open, result)
			return false
		}
		r.record(result)
		if result.Answered() {
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

// lastProbe probes an address once, for as long as the answer of another one
// allows.
func (c *course) lastProbe(ctx context.Context, r *runner) {
	options := c.options
	options.Timeout = min(options.Timeout, time.Duration(c.bound.Load()))
	if result := c.probe(ctx, r.Target, options); result.OK || !over(ctx) {
		r.record(result)
	}
}

func (c *course) setBound(roundTrip time.Duration) {
	c.bound.CompareAndSwap(0, int64(max(minBound, boundFactor*roundTrip)))
}

func (r *runner) record(result Result) {
	result.Attempts = r.result.Attempts + 1
	r.result = result
}

// recordTimeout records a probe that the end of the wait cut off, if there was none
// before, or none that came as far: the address did not answer in all that time. A
// probe that was cancelled proves nothing.
func (r *runner) recordTimeout(open context.Context, result Result) {
	further := r.result.Attempts == 0 || slices.Index(phases, result.Phase) > slices.Index(phases, r.result.Phase)
	if further && !errors.Is(open.Err(), context.Canceled) {
		r.record(result)
	}
}

// phases are those of a probe, in the order in which they are reached.
var phases = []Phase{PhaseResolve, PhaseConnect, PhaseTLS, PhaseRequest, PhaseAnswer, PhaseWebSocket}

// over says whether ctx has ended, or is about to: a probe that its deadline cuts
// off may return a moment before ctx notices.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// Answered reports whether the expected server answered, with a good answer or
// not: another status, a certificate that nobody trusts, no HTTP at all. The answer
// of another server does not count, nor that of a server that is not ready.
func (r Result) Answered() bool {
	if r.OK {
		return true
	}
	spoke := r.Phase == PhaseTLS || r.Phase == PhaseAnswer || r.Phase == PhaseWebSocket
	return spoke && r.Identity != IdentityMismatch && !notReady(r)
}

// notReady says whether another probe may help. With 503 a server itself says that
// it runs and is not ready (RFC 9110, section 15.6.4).
func notReady(r Result) bool {
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
