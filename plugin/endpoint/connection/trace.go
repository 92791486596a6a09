package connection

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http/httptrace"
	"sync"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// tracer records what an attempt of docker's client goes through. The client
// turns most errors into text, so the tracer takes them where they arise. Hooks may
// fire after the request has returned and from several goroutines (Happy
// Eyeballs), hence the lock.
type tracer struct {
	mu   sync.Mutex
	seen trace
}

// trace is what a tracer has recorded so far.
type trace struct {
	resolving  bool
	resolveErr error
	dials      []dial
	tlsStarted bool
	tlsErr     error
	peer       []*x509.Certificate // the other side's, from the handshake
	connected  bool                // TLS, if there is any, included
	answered   bool
}

// dial is one attempt to connect to one address.
type dial struct {
	address string
	err     error
}

func (t *tracer) record(update func(*trace)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	update(&t.seen)
}

func (t *tracer) snapshot() trace {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := t.seen
	seen.dials = append([]dial(nil), t.seen.dials...)
	return seen
}

func (t *tracer) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { t.record(func(s *trace) { s.resolving = true }) },
		DNSDone:  func(info httptrace.DNSDoneInfo) { t.record(func(s *trace) { s.resolveErr = info.Err }) },
		ConnectStart: func(_, address string) {
			t.record(func(s *trace) { s.dials = append(s.dials, dial{address, errPending}) })
		},
		ConnectDone: func(_, address string, err error) {
			t.record(func(s *trace) { s.finish(address, err) })
		},
		TLSHandshakeStart: func() { t.record(func(s *trace) { s.tlsStarted = true }) },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			t.record(func(s *trace) { s.tlsErr, s.peer = err, state.PeerCertificates })
		},
		GotConn:              func(httptrace.GotConnInfo) { t.record(func(s *trace) { s.connected = true }) },
		GotFirstResponseByte: func() { t.record(func(s *trace) { s.answered = true }) },
	}
}

// errPending is the error of a dial that has not ended.
var errPending = errors.New("no answer")

func (s *trace) finish(address string, err error) {
	for i := range s.dials {
		if s.dials[i].address == address && errors.Is(s.dials[i].err, errPending) {
			s.dials[i].err = err
			return
		}
	}
}

// phase is the last step that the attempt began.
func (s *trace) phase() netprobe.Phase {
	switch {
	case s.answered:
		return netprobe.PhaseAnswer
	case s.connected:
		return netprobe.PhaseRequest
	case s.tlsStarted:
		return netprobe.PhaseTLS
	case len(s.dials) > 0:
		return netprobe.PhaseConnect
	case s.resolving:
		return netprobe.PhaseResolve
	default:
		return netprobe.PhaseConnect // pipes and commands fire no hooks
	}
}

// dialErr is the error that kept the attempt from connecting, or nil. Of several
// addresses, one that was refused or unreachable says more than one that timed out
// or was still pending.
func (s *trace) dialErr() error {
	if s.resolveErr != nil {
		return s.resolveErr
	}
	var found error
	for _, d := range s.dials {
		if d.err == nil {
			return nil
		}
		if found == nil || (isTimeout(found) && !isTimeout(d.err)) {
			found = d.err
		}
	}
	return found
}
