package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// The ports of engines (IANA): without TLS and with TLS.
const (
	portPlain = "2375"
	portTLS   = "2376"
)

// neighbour looks at the other port of engines on the same host. It is nil if no engine
// answers there.
func (r reviewer) neighbour(ctx context.Context, fault *report.Fault) *report.Fault {
	target := r.url()
	if target == nil || r.proxy() != nil {
		return nil
	}
	other := "tcp://" + net.JoinHostPort(target.Hostname(), portTLS)
	switch {
	case fault.Cause != connection.EngineUnreachable && fault.Cause != connection.TLSNotExpected:
		return nil
	case slices.Contains(fault.Evidence, "phase reached: "+string(netprobe.PhaseRequest)) && timedOut(fault.Err):
		return nil // what has accepted is stuck, not somewhere else; and the time is over
	case target.Port() == portPlain:
		return r.securedNeighbour(ctx, fault, other)
	case target.Port() == portTLS && fault.Cause == connection.EngineUnreachable:
		return r.plainNeighbour(ctx, fault, "tcp://"+net.JoinHostPort(target.Hostname(), portPlain))
	}
	return nil
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// inTLS are the causes of an endpoint that has answered in TLS.
var inTLS = []report.Cause{
	connection.TLSRequired, connection.TLSUntrusted, connection.TLSHostnameMismatch,
	connection.TLSExpired, connection.TLSClientCertRejected,
}

func (r reviewer) securedNeighbour(ctx context.Context, fault *report.Fault, host string) *report.Fault {
	err := r.try(ctx, host)
	if err == nil {
		fault.Evidence = append(fault.Evidence, "an engine answers at "+host)
		fault.Hint = "use " + host
		fault.Commands = r.commands(host, sameTLS)
		return fault
	}
	cause, what := causeOf(err)
	if !slices.Contains(inTLS, cause) {
		return nil
	}
	fault.Evidence = append(fault.Evidence, fmt.Sprintf("port %s of the same host answers in TLS: %s", portTLS, what))
	fault.Hint = "use " + host + ", where something answers in TLS"
	tls := sameTLS
	if !r.settings.TLS {
		tls = turnOnTLS
		fault.Hint += ", with the TLS files of its engine"
	}
	fault.Commands = r.commands(host, tls)
	return fault
}

// withoutTLS tries hosts without TLS, and without the headers, which may be secrets.
func (r reviewer) withoutTLS() reviewer {
	r.options = nil
	return r
}

func (r reviewer) plainNeighbour(ctx context.Context, fault *report.Fault, host string) *report.Fault {
	if !r.withoutTLS().answers(ctx, host) {
		return nil
	}
	fault.Evidence = append(fault.Evidence, fmt.Sprintf("port %s of the same host answers without TLS, and an engine is there", portPlain))
	fault.Hint = "use " + host + ", where an engine answers without TLS, or let the engine listen with TLS on port " + portTLS
	tls := sameTLS
	if r.settings.TLS {
		tls = turnOffTLS
	}
	fault.Commands = r.commands(host, tls)
	return fault
}
