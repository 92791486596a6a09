package netprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Probe sends one request to target and returns what happened. It blocks for at
// most opts.Timeout, starts nothing that outlives it, follows no redirect and uses
// no proxy.
//
// The name is resolved first, and its addresses are dialled one after the other,
// each with its share of the remaining time. The first that connects gets the
// request, as with any client: if that server then misbehaves, the next address is
// not tried. If none connects, the Result is about the failure that says most.
// Result.Tried lists them all.
func Probe(ctx context.Context, target Target, opts Options) Result {
	p := newProber(ctx, target, opts)
	if s := p.run(ctx); s != nil {
		p.record(ctx, s)
	} else {
		p.result.OK = true
	}
	p.result.Detail = Visible(p.result.Detail+p.otherTries(), DetailLimit)
	p.result.Timings.Total = time.Since(p.start)
	return p.result
}

// prober is one call of Probe.
type prober struct {
	target   Target
	opts     Options
	host     string
	port     uint16
	addr     netip.AddrPort // the address that connected
	start    time.Time
	deadline time.Time
	result   Result
}

// setback is why a probe ended early.
type setback struct {
	failure Failure
	detail  string
	err     error
}

func (s *setback) Error() string { return s.detail }

func newProber(ctx context.Context, target Target, opts Options) *prober {
	p := &prober{target: target, opts: opts.withDefaults(), start: time.Now()}
	p.deadline = p.start.Add(p.opts.Timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(p.deadline) {
		p.deadline = d
	}
	p.result = Result{Attempts: 1, Phase: PhaseResolve, Identity: IdentityUnverified, WebSocket: WebSocketSkipped}
	return p
}

// record makes a setback the Result's failure.
func (p *prober) record(ctx context.Context, s *setback) {
	p.result.Failure, p.result.Detail, p.result.Err = s.failure, s.detail, s.err
	p.result.NotSent = s.failure == Unreachable && notSent(s.err)
	if s.failure.interrupted() && errors.Is(ctx.Err(), context.Canceled) {
		p.result.Failure = Cancelled
		p.result.Detail = "cancelled before the outcome was known"
		p.result.Err = context.Canceled
	}
}

// run takes the steps of a probe until one fails.
func (p *prober) run(ctx context.Context) *setback {
	if err := ctx.Err(); err != nil {
		return &setback{Cancelled, "cancelled before it began", err}
	}
	if err := p.parse(); err != nil {
		return &setback{NotProbed, "not probed: " + err.Error(), err}
	}
	addrs, s := p.resolve(ctx)
	if s != nil {
		return s
	}
	conn, s := p.connect(ctx, addrs)
	if s != nil {
		return s
	}
	w, s := p.secure(ctx, conn)
	if s != nil {
		return s
	}
	defer w.close()
	switch p.target.scheme() {
	case TCP:
		return p.listen(ctx, w)
	case H2C, H2:
		return p.settings(w)
	}
	if p.target.onlyWebSocket() {
		return p.webSocket(ctx)
	}
	if s := p.request(ctx, w); s != nil || p.target.WebSocket == "" {
		return s
	}
	return p.webSocket(ctx)
}

// parse checks the target and splits its address.
func (p *prober) parse() error {
	switch p.target.scheme() {
	case HTTP, HTTPS, TCP, H2C, H2:
	default:
		return fmt.Errorf("scheme %q is none of http, https, tcp", p.target.Scheme)
	}
	host, port, err := net.SplitHostPort(p.target.Address)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if host == "" || err != nil || n == 0 {
		return fmt.Errorf("address %q is not of the form host:port", p.target.Address)
	}
	p.host, p.port = host, uint16(n)
	return p.checkURLs()
}

// checkURLs checks that no character of the address or of a path begins another
// part of the URL.
func (p *prober) checkURLs() error {
	for _, path := range []string{p.target.path(), p.target.WebSocket} {
		if path != "" && !strings.HasPrefix(path, "/") {
			return fmt.Errorf("path %q does not start with a slash", path)
		}
		u, err := url.Parse(p.target.base() + path)
		if err != nil {
			return err
		}
		if u.Host != p.target.Address {
			return fmt.Errorf("address %q is not of the form host:port", p.target.Address)
		}
	}
	return nil
}

// enter records the step that begins. All steps of the WebSocket's own connection
// belong to that phase.
func (p *prober) enter(phase Phase) {
	if p.result.Phase != PhaseWebSocket {
		p.result.Phase = phase
	}
}

// waited is the time that the probe had, in words.
func (p *prober) waited() string {
	return p.deadline.Sub(p.start).Round(time.Millisecond).String()
}

// otherTries lists in words the other addresses that did not connect.
func (p *prober) otherTries() string {
	var others []string
	for _, try := range p.result.Tried {
		if try.Remote != p.result.Remote {
			others = append(others, fmt.Sprintf("%s %s", try.Remote, try.Failure))
		}
	}
	if len(others) == 0 {
		return ""
	}
	return " (also tried: " + strings.Join(others, ", ") + ")"
}
