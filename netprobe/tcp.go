package netprobe

import (
	"bytes"
	"context"
	"time"
)

// listen finds out whether a server is behind a TCP connection. An established
// connection proves nothing: a port forwarder accepts, dials the server, and closes
// when that fails. So the server has to send something. A connection that stays open
// for the settle time is [Silent].
//
// If the first bytes must contain a text, listen waits for them until the deadline.
// Once they begin, they have the settle time to be complete.
func (p *prober) listen(ctx context.Context, w *wire) *setback {
	until := p.settled()
	if p.needsBytes() {
		until = p.deadline
	}
	var got []byte
	var err error
	for err == nil && !p.enough(got) {
		var n int
		buf := make([]byte, min(4096, p.opts.BodyLimit+1-int64(len(got))))
		_ = w.SetReadDeadline(until) // fails only on a closed connection, where the read fails too
		if ctx.Err() != nil {
			break // cancelled, which the new deadline hides from the wire
		}
		n, err = w.Read(buf)
		if len(got) == 0 && n > 0 {
			until = p.settled()
		}
		got = append(got, buf[:n]...)
	}
	p.result.Timings.FirstByte = w.firstByte()
	if len(got) == 0 {
		return p.silence(ctx, w)
	}
	p.enter(PhaseAnswer)
	return p.greeted(got)
}

// settled is the time until which a connection must stay open to count.
func (p *prober) settled() time.Time {
	until := time.Now().Add(p.opts.Settle)
	if until.After(p.deadline) {
		return p.deadline
	}
	return until
}

// needsBytes reports whether the server has to send something.
func (p *prober) needsBytes() bool {
	return p.target.Identity != "" || p.target.Expect.Body != ""
}

// enough reports whether more bytes would not change the outcome.
func (p *prober) enough(got []byte) bool {
	if int64(len(got)) > p.opts.BodyLimit {
		return true
	}
	return len(got) > 0 && bytes.Contains(got, []byte(p.target.Identity)) &&
		bytes.Contains(got, []byte(p.target.Expect.Body))
}

// silence judges a connection on which nothing came.
func (p *prober) silence(ctx context.Context, w *wire) *setback {
	switch {
	case w.ending() == hungUp:
		return &setback{ClosedWithoutResponse, "connection accepted, then closed without a response", w.ended}
	case p.needsBytes():
		return &setback{NoResponse, "connection accepted, no response within " + p.waited(), w.ended}
	case ctx.Err() != nil || !time.Now().Before(p.deadline):
		return &setback{NoResponse, "connection accepted, not watched long enough to see that it stays open", w.ended}
	}
	return &setback{Silent, "connection accepted and kept open, nothing was sent over it", nil}
}

// greeted judges the server's first bytes. A text that the target expects is good,
// whatever it says.
func (p *prober) greeted(got []byte) *setback {
	p.result.Body = p.shown(got)
	got = got[:min(int64(len(got)), p.opts.BodyLimit)]
	if p.target.Identity != "" {
		if !bytes.Contains(got, []byte(p.target.Identity)) {
			p.result.Identity = IdentityMismatch
			return &setback{WrongServer, "another server answered: its first bytes are " + quote(got), nil}
		}
		p.result.Identity = IdentityVerified
	}
	if !bytes.Contains(got, []byte(p.target.Expect.Body)) {
		return &setback{UnexpectedBody, "the expected text is not in the first bytes, which are " + quote(got), nil}
	}
	if !p.needsBytes() && denies(got) {
		return &setback{Denied, "connection accepted, and the server refuses to serve this client: " + quote(words(got)), nil}
	}
	p.result.Detail = "connection accepted, the server sent " + quote(got)
	return nil
}
