package netprobe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// connect dials addrs in order until one connects.
func (p *prober) connect(ctx context.Context, addrs []netip.AddrPort) (net.Conn, *setback) {
	p.enter(PhaseConnect)
	var best *setback // the one that says most
	for i, addr := range addrs {
		// Each address gets an equal share of the remaining time. Otherwise one that
		// drops packets would use up the time of all.
		share := time.Until(p.deadline) / time.Duration(len(addrs)-i)
		began := time.Now()
		conn, s := p.dial(ctx, addr, began.Add(share))
		try := Try{Remote: addr.String(), Connect: time.Since(began)}
		if s != nil {
			try.Failure, try.Err = s.failure, s.err
		}
		p.result.Tried = append(p.result.Tried, try)
		if s == nil || best == nil || rank(s.failure) > rank(best.failure) {
			best = s
			p.result.Remote, p.result.Timings.Connect = try.Remote, try.Connect
		}
		if s == nil {
			p.addr = addr
			p.result.PathMTU = pathMTU(conn)
			return conn, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, best
}

// rank orders the failures of a connection attempt by how much they say: an answer
// of the host before an answer of the network before no answer.
func rank(f Failure) int {
	return slices.Index([]Failure{ConnectTimeout, Unreachable, Reset, Refused}, f)
}

// dial connects to one literal address.
func (p *prober) dial(ctx context.Context, addr netip.AddrPort, deadline time.Time) (net.Conn, *setback) {
	share := time.Until(deadline).Round(time.Millisecond)
	dialing, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := p.dialer()(dialing, "tcp", addr.String())
	if err == nil {
		return conn, nil
	}
	f := ConnectFailure(err)
	if f == NotProbed && errors.Is(err, context.Canceled) {
		f = ConnectTimeout // a cancelled attempt has had no answer
	}
	switch f {
	case Refused:
		return nil, &setback{f, "connection refused", err}
	case Reset:
		return nil, &setback{f, "connection reset before it was established", err}
	case Unreachable:
		return nil, &setback{f, "unreachable: " + UnreachableReason(err), err}
	case ConnectTimeout:
		return nil, &setback{f, "no answer to the connection attempt within " + share.String(), err}
	default:
		return nil, &setback{f, "not probed: " + err.Error(), err}
	}
}

// dialer connects to a literal address before the deadline of its context.
func (p *prober) dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	if p.opts.DialContext != nil {
		return p.opts.DialContext
	}
	// Keep-alive is off because no probe lives long enough to need it.
	dialer := net.Dialer{KeepAlive: -1, Control: p.opts.Control}
	return dialer.DialContext
}

// timedOut reports whether err is a time-out. The same time-out shows as
// context.DeadlineExceeded or as os.ErrDeadlineExceeded; both say Timeout.
func timedOut(err error) bool {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return connectErrno(errno) == ConnectTimeout
	}
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// wire is a connection that records how it ended, because the packages that read
// from it replace its error with their own. Only one goroutine uses it.
type wire struct {
	net.Conn
	p       *prober
	limited *io.LimitedReader // of all that comes, if the server speaks HTTP
	in      *bufio.Reader     // of limited
	release func() bool       // ends the watch over the context
	opened  time.Time
	first   time.Time // when the first byte came
	ended   error     // of the read that failed
}

// watch makes conn a wire that ends at the probe's deadline and when the context
// is cancelled.
func (p *prober) watch(ctx context.Context, conn net.Conn) *wire {
	_ = conn.SetDeadline(p.deadline) // fails only on a closed connection, where the next read fails too
	release := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	w := &wire{Conn: conn, p: p, release: release, opened: time.Now()}
	w.limited = &io.LimitedReader{R: w, N: headerLimit}
	w.in = bufio.NewReader(w.limited)
	return w
}

// Read reads, and records when the first byte came and what went wrong.
func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if n > 0 && w.first.IsZero() {
		w.first = time.Now()
	}
	if err != nil {
		w.ended = err
	}
	return n, err
}

func (w *wire) close() {
	w.release()
	_ = w.Close() // everything needed has been read
}

// silent reports whether no byte came.
func (w *wire) silent() bool { return w.first.IsZero() }

func (w *wire) firstByte() time.Duration {
	if w.silent() {
		return 0
	}
	return w.first.Sub(w.opened)
}

// ending is how a connection ended.
type ending int

const (
	open     ending = iota // it did not end; reading ended for another reason
	late                   // the deadline passed
	hungUp                 // the peer closed or reset it
	rejected               // the peer ended TLS with an alert
)

func (w *wire) ending() ending {
	switch {
	case w.ended == nil:
		return open
	case timedOut(w.ended):
		return late
	case isAlert(w.ended):
		return rejected
	}
	return hungUp
}

// isHangUp reports whether the peer ended the connection.
func isHangUp(err error) bool {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return connectErrno(errno) == Reset
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
