package netprobe

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/sync/errgroup"
)

// Race probes several addresses of one server in parallel. It can be sent to another
// process as JSON, without its Options; durations are nanoseconds there.
//
// An address whose failure may be that of a server that is not ready (see
// [Failure.Retryable], and the answers 502, 503 and 504) is probed again, after pauses that
// grow from 5 ms to 250 ms. The first answer ends that for the others: each of them is
// probed once more, for 10 times as long as the answer took and at least 500 ms, so that an
// address that swallows packets does not hold up the result.
type Race struct {
	Attempts []Attempt     `json:"attempts"`
	Timeout  time.Duration `json:"timeout"`        // of one probe; 0 is that of Options, or DefaultTimeout
	Wait     time.Duration `json:"wait,omitempty"` // for the whole race; 0: until its context ends
	// SkipVerify accepts any certificate: the identity proves who answers.
	SkipVerify bool `json:"skipVerify,omitempty"`
	// Roots are PEM certificates of the authorities to trust, instead of those of the system or
	// of Options; empty for those.
	Roots      []byte `json:"roots,omitempty"`
	MaxSegment int    `json:"maxSegment,omitempty"` // bytes, see LimitSegments, instead of Options.Control; 0 for no limit
	Once       bool   `json:"once,omitempty"`       // probe each address a single time, whatever its answer
	// ThroughGateway is for addresses of a proxy that waits for its server itself: its
	// answers 502 and 504 are final.
	ThroughGateway bool `json:"throughGateway,omitempty"`
	// Options are those of each probe, but for the Lookup, which is that of the Attempt.
	Options Options `json:"-"`
}

// Attempt is one address in a race.
type Attempt struct {
	Target
	// Grace is how much longer than until the first answer the address is retried.
	Grace time.Duration `json:"grace,omitempty"`
	// Lookup is how long the lookup of the address's name may take; 0: as long as the
	// probe. It holds for each probe, also for the last one.
	Lookup time.Duration `json:"lookup,omitempty"`
	// Elsewhere says that the address should not lead to the server. An answer from there
	// does not end the race, unless it has the expected identity.
	Elsewhere bool `json:"elsewhere,omitempty"`
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
// the order of Attempts, each that of the last probe of its address. One whose Attempts
// are 0 was never probed to its end. The race itself is not changed.
func (r Race) Run(ctx context.Context) []Result {
	if r.Wait > 0 {
		waiting, cancel := context.WithTimeout(ctx, r.Wait)
		defer cancel()
		ctx = waiting
	}
	options := r.Options
	options.Timeout = cmp.Or(r.Timeout, options.Timeout, DefaultTimeout)
	if limit := LimitSegments(r.MaxSegment); limit != nil {
		options.Control = limit
	}
	if r.SkipVerify {
		options.TLS = &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, //nolint:gosec // the identity token proves who answers
		}
	}
	if len(r.Roots) > 0 && !r.SkipVerify {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(r.Roots) // with no certificate in it, nothing is trusted
		config := options.TLS.Clone()
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		config.RootCAs = pool
		options.TLS = config
	}
	c := course{probe: Probe, options: options, once: r.Once, throughGateway: r.ThroughGateway}
	return c.run(ctx, r.Attempts)
}

// course is one run of a race.
type course struct {
	probe   func(context.Context, Target, Options) Result
	options Options
	once    bool

	throughGateway bool

	bound atomic.Int64 // nanoseconds for a last probe; set by the first answer
}

func (c *course) run(ctx context.Context, attempts []Attempt) []Result {
	phase, end := newOpenPhase(ctx)
	defer end()
	results := make([]Result, len(attempts))
	var group errgroup.Group
	for i, attempt := range attempts {
		group.Go(func() error {
			c.try(ctx, phase, attempt, &results[i])
			return nil
		})
	}
	_ = group.Wait() // its functions return no errors
	return results
}

// underWay is how much longer than until the first answer the probes that are under way may
// take. Those of addresses that are as good end at about the same time, and need no other
// probe.
const underWay = 25 * time.Millisecond

// openPhase is the part of a race until the first answer.
type openPhase struct {
	open    context.Context // ends with the first answer
	probing context.Context // of each probe, which ends underWay later
	settle  func()          // the first answer is there
}

func newOpenPhase(ctx context.Context) (phase openPhase, end func()) {
	open, closed := context.WithCancel(ctx)
	probing, cut := context.WithCancel(ctx)
	stop := context.AfterFunc(open, func() { time.AfterFunc(underWay, cut) })
	return openPhase{open, probing, closed}, func() { stop(); closed(); cut() }
}

// try probes one address until its outcome is known, or the open phase ends; then for its
// grace, and at last once more. It leaves the result of the last probe in last, with
// the number of all.
func (c *course) try(ctx context.Context, phase openPhase, attempt Attempt, last *Result) {
	if c.once {
		last.record(c.probe(ctx, attempt.Target, c.optionsOf(attempt)))
		return
	}
	if c.untilAnswer(phase, attempt, last) {
		return
	}
	if attempt.Grace > 0 {
		grace, cancel := context.WithTimeout(ctx, attempt.Grace)
		defer cancel()
		if c.untilAnswer(openPhase{grace, grace, phase.settle}, attempt, last) {
			return
		}
	}
	if !over(ctx) {
		c.lastProbe(ctx, attempt, last)
	}
}

// optionsOf are those of the probes of one attempt.
func (c *course) optionsOf(attempt Attempt) Options {
	options := c.options
	options.Lookup = attempt.Lookup
	return options
}

// untilAnswer repeats the probe while its failure may be that of a server that is
// not ready. It returns false when the phase ended before the outcome was known.
func (c *course) untilAnswer(phase openPhase, attempt Attempt, last *Result) bool {
	pauses := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(firstPause),
		backoff.WithMaxInterval(longestPause),
		backoff.WithMaxElapsedTime(0), // ctx is the limit
	)
	err := backoff.Retry(func() error {
		result := c.probe(phase.probing, attempt.Target, c.optionsOf(attempt))
		if over(phase.probing) && !result.OK {
			last.recordTimeout(phase.probing, result)
			return backoff.Permanent(errNotReady)
		}
		last.record(result)
		final := c.throughGateway && isGatewayError(result.Status) && result.Identity != IdentityMismatch
		if notReady(result) && !final {
			return errNotReady
		}
		if attempt.ends(result) || final {
			roundTrip := result.Timings.Connect + result.Timings.FirstByte
			c.bound.CompareAndSwap(0, int64(max(minBound, boundFactor*roundTrip)))
			phase.settle()
		}
		return nil
	}, backoff.WithContext(pauses, phase.open))
	return err == nil
}

// ends says whether the result of an attempt ends the race for the others: the server is
// up, or it seems so.
func (a Attempt) ends(r Result) bool {
	if a.Elsewhere && r.Identity != IdentityVerified {
		return false
	}
	return r.Answered() || r.Failure == Silent
}

var errNotReady = errors.New("the server is not ready")

// lastProbe probes an address once, for as long as the answer of another one
// allows.
func (c *course) lastProbe(ctx context.Context, attempt Attempt, last *Result) {
	options := c.optionsOf(attempt)
	options.Timeout = min(options.Timeout, time.Duration(c.bound.Load()))
	if result := c.probe(ctx, attempt.Target, options); result.OK || !over(ctx) {
		last.record(result)
	}
}

// record replaces the result by that of one more probe.
func (r *Result) record(next Result) {
	next.Attempts = r.Attempts + 1
	*r = next
}

// recordTimeout records a probe that the end of the wait cut off, if there was none
// before, or none that came as far: the address did not answer in all that time. A
// probe that was cancelled proves nothing.
func (r *Result) recordTimeout(open context.Context, next Result) {
	further := r.Attempts == 0 || next.Phase.After(r.Phase)
	if further && !errors.Is(open.Err(), context.Canceled) {
		r.record(next)
	}
}

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
// it runs and is not ready; with 502 and 504 a proxy says so of the server behind it
// (RFC 9110, sections 15.6.3 to 15.6.5).
func notReady(r Result) bool {
	waits := r.Status == http.StatusServiceUnavailable || isGatewayError(r.Status)
	return !r.OK && (r.Failure.Retryable() || waits)
}

func isGatewayError(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusGatewayTimeout
}
