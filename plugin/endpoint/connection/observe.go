package connection

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http/httptrace"
	"sync"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// observation is what an attempt of docker's client went through. The client
// turns most errors into text, so they are caught where they arise. Hooks may
// fire after the request has returned and from several goroutines (Happy
// Eyeballs), hence the lock.
type observation struct {
	mu   sync.Mutex
	seen sight
}

// sight is an observation at rest.
type sight struct {
	resolving  bool
	resolveErr error
	dials      []dial
	tlsStarted bool
	tlsErr     error
	peer       []*x509.Certificate // what the other side showed in the handshake
	connected  bool                // TLS, if there is any, included
	answered   bool
}

// dial is one try to connect to one address.
type dial struct {
	address string
	err     error
}

func (o *observation) note(note func(*sight)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	note(&o.seen)
}

func (o *observation) snapshot() sight {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := o.seen
	seen.dials = append([]dial(nil), o.seen.dials...)
	return seen
}

func (o *observation) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { o.note(func(s *sight) { s.resolving = true }) },
		DNSDone:  func(info httptrace.DNSDoneInfo) { o.note(func(s *sight) { s.resolveErr = info.Err }) },
		ConnectStart: func(_, address string) {
			o.note(func(s *sight) { s.dials = append(s.dials, dial{address, errPending}) })
		},
		ConnectDone: func(_, address string, err error) {
			o.note(func(s *sight) { s.finish(address, err) })
		},
		TLSHandshakeStart: func() { o.note(func(s *sight) { s.tlsStarted = true }) },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			o.note(func(s *sight) { s.tlsErr, s.peer = err, state.PeerCertificates })
		},
		GotConn:              func(httptrace.GotConnInfo) { o.note(func(s *sight) { s.connected = true }) },
		GotFirstResponseByte: func() { o.note(func(s *sight) { s.answered = true }) },
	}
}

// errPending is the error of a dial that has not ended.
var errPending = errors.New("no answer")

func (s *sight) finish(address string, err error) {
	for i := range s.dials {
		if s.dials[i].address == address && errors.Is(s.dials[i].err, errPending) {
			s.dials[i].err = err
			return
		}
	}
}

// phase is the last step that the attempt began.
func (s *sight) phase() netprobe.Phase {
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

// dialErr is the error that kept the attempt from connecting, or nil. Of
// several addresses one that was refused or unreachable says more than one that
// was still pending or was given up when another failed.
func (s *sight) dialErr() error {
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
