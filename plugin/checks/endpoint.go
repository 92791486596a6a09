package checks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

const categoryEndpoint = "endpoint"

// How long an engine may take to answer, so that any fault is told within 5 s. An
// engine that systemd starts on the first connection took up to 2.2 s to be ready;
// over TCP a lost packet is sent again after a second (RFC 6298, section 2.1);
// ssh has a handshake and a shell of its own before it. Finding out why there is
// no answer takes up to 2 s more, over TCP alone.
const (
	socketPatience = 4 * time.Second
	tcpPatience    = 2500 * time.Millisecond
	sshPatience    = 4500 * time.Millisecond
	findingOut     = 3 * time.Second
)

// Patience is how long an engine may take, or what the user allows one attempt if
// that is longer.
func Patience(transport connection.Transport, timeout time.Duration) time.Duration {
	bound := socketPatience
	switch transport {
	case connection.TCP:
		bound = tcpPatience
	case connection.SSH:
		bound = sshPatience
	}
	return max(bound, timeout)
}

// endpointChecks are about the way to the engine.
func endpointChecks() []check {
	return []check{{
		category: categoryEndpoint, name: "socket", needs: []string{"context"}, ends: true,
		look: (*state).lookAtSocket,
	}, {
		category: categoryEndpoint, name: "TLS files", needs: []string{"context"},
		hint: "renew the certificate",
		look: (*state).lookAtTLSFiles,
	}, {
		category: categoryEndpoint, name: "answer", needs: []string{"context"}, ends: true,
		hint:    "check that the engine is running, and the endpoint's address",
		patient: true,
		look:    (*state).lookForAnswer,
	}, {
		category: categoryEndpoint, name: "certificate",
		hint: "renew the engine's certificate",
		look: (*state).lookAtPeer,
	}}
}

func (s *state) lookAtSocket(ctx context.Context) (outcome, error) {
	if s.settings.Transport != connection.Unix {
		return skip("the endpoint is not a socket")
	}
	lines, err := s.settings.Socket(ctx)
	if err != nil {
		return outcome{}, err
	}
	return pass("%s", strings.TrimPrefix(strings.Join(lines, "; "), "file: "))
}

func (s *state) lookAtTLSFiles(context.Context) (outcome, error) {
	if !s.settings.TLS {
		return skip("the endpoint has no TLS")
	}
	authorities, client := s.settings.Certificates()
	if len(authorities)+len(client) == 0 {
		return pass("none of its own: this machine's CAs are trusted, and no client certificate is sent")
	}
	return dates(append(authorities, client...), time.Now())
}

func (s *state) lookForAnswer(ctx context.Context) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience(s.settings.Transport, s.Timeout)+findingOut)
	defer cancel()
	began := time.Now()
	opened, err := connection.Open(ctx, s.settings)
	took := time.Since(began).Round(time.Millisecond)
	if fault := new(report.Fault); errors.As(err, &fault) && fault.Cause == connection.APIVersionUnsupported {
		s.refusal = fault
		return pass("the engine answers in %s", took)
	}
	if err != nil {
		return outcome{}, s.hurried(err)
	}
	s.connection = opened
	if proxy := opened.Proxy(); proxy != "" {
		return pass("the engine answers in %s, through the proxy %s", took, proxy)
	}
	return pass("the engine answers in %s", took)
}

// hurried adds how long the engine was waited for to the fault of one that gave
// no sign at all.
func (s *state) hurried(err error) error {
	fault := new(report.Fault)
	var timeout net.Error
	if !errors.As(err, &fault) || !errors.As(fault.Err, &timeout) || !timeout.Timeout() {
		return err
	}
	told := *fault
	told.Evidence = append(told.Evidence, fmt.Sprintf("it was waited for %s; --timeout makes that longer", Patience(s.settings.Transport, s.Timeout)))
	return &told
}

func (s *state) lookAtPeer(context.Context) (outcome, error) {
	if s.connection == nil || len(s.connection.Certificates()) == 0 {
		return skip("there is none without TLS")
	}
	return dates(s.connection.Certificates(), time.Now())
}

// soon is how long before its end a certificate is worth a warning: a month, as
// certificate authorities write to their customers.
const soon = 30 * 24 * time.Hour

// dates looks at the time for which certificates are valid. One that is over is a
// warning too: whether it does harm is for the handshake to tell, which fails.
func dates(certificates []connection.Certificate, now time.Time) (outcome, error) {
	var seen, wrong []string
	fault := &report.Fault{Cause: connection.TLSExpired}
	for _, c := range certificates {
		seen = append(seen, fmt.Sprintf("%s: %s, until %s", c.Whose, c.Subject, c.NotAfter.UTC().Format(time.DateOnly)))
		problem := problemOf(c, now)
		if problem == "" {
			continue
		}
		wrong = append(wrong, fmt.Sprintf("a certificate %s %s", c.Whose, problem))
		fault.Evidence = append(fault.Evidence, c.Description)
	}
	if len(wrong) == 0 {
		return pass("%s", strings.Join(seen, "; "))
	}
	fault.Evidence = append(fault.Evidence, "this machine's clock: "+now.UTC().Format(time.RFC3339))
	result, err := warn(fault, "%s", strings.Join(wrong, "; "))
	result.title = strings.ToUpper(wrong[0][:1]) + wrong[0][1:]
	return result, err
}

// problemOf is what is wrong with a certificate's dates, or going to be.
func problemOf(c connection.Certificate, now time.Time) string {
	switch left := c.NotAfter.Sub(now); {
	case now.Before(c.NotBefore):
		return "is valid only from " + c.NotBefore.UTC().Format(time.RFC3339)
	case left < 0:
		return "expired on " + c.NotAfter.UTC().Format(time.RFC3339)
	case left < 48*time.Hour:
		return fmt.Sprintf("expires in %d hours", int(left.Hours()))
	case left < soon:
		return fmt.Sprintf("expires in %d days", int(left.Hours()/24))
	default:
		return ""
	}
}
