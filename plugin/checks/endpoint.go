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

// How long an engine may take to answer, so that each fault is reported within some
// seconds. An engine that systemd starts on the first connection took up to 2.2 s to be
// ready, and a busy one needs 3 s for each call. TCP sends a lost packet again after 1 s
// (RFC 6298, section 2.1). ssh needs a handshake and a shell first.
const (
	socketAnswerTimeout = 4 * time.Second
	tcpAnswerTimeout    = 3500 * time.Millisecond
	sshAnswerTimeout    = 4500 * time.Millisecond
)

// explainTimeout limits the search for the reason why an engine does not answer,
// which takes up to 2 s, only over TCP.
const explainTimeout = 3 * time.Second

// AnswerTimeout is how long an engine may take to answer. It is at least timeout,
// the user's limit for one attempt at one address.
func AnswerTimeout(transport connection.Transport, timeout time.Duration) time.Duration {
	limit := socketAnswerTimeout
	switch transport {
	case connection.TCP:
		limit = tcpAnswerTimeout
	case connection.SSH:
		limit = sshAnswerTimeout
	}
	return max(limit, timeout)
}

// endpointChecks look at the connection to the engine.
var endpointChecks = category("endpoint", []check{
	{name: "socket", dependsOn: []string{"context"}, fatal: true, run: (*state).checkSocket},
	{name: "TLS files", dependsOn: []string{"context"}, hint: "renew the certificate", run: (*state).checkTLSFiles},
	{
		name: "answer", dependsOn: []string{"context"}, fatal: true,
		hint:       "check that the engine is running, and the endpoint's address",
		ownTimeout: true,
		run:        (*state).checkAnswer,
	},
	{name: "certificate", hint: "renew the engine's certificate", run: (*state).checkEngineCertificate},
})

func (s *state) checkSocket(ctx context.Context) (checkResult, error) {
	if s.settings.Transport != connection.Unix {
		return skip("the endpoint is not a socket")
	}
	lines, err := s.settings.Socket(ctx)
	if err != nil {
		return checkResult{}, err
	}
	return pass("%s", strings.TrimPrefix(strings.Join(lines, "; "), "file: "))
}

func (s *state) checkTLSFiles(context.Context) (checkResult, error) {
	if !s.settings.TLS {
		return skip("the endpoint does not use TLS")
	}
	authorities, client := s.settings.Certificates()
	if len(authorities)+len(client) == 0 {
		return pass("none: this machine's CAs are trusted, and no client certificate is sent")
	}
	return checkValidity(append(authorities, client...), time.Now())
}

func (s *state) checkAnswer(ctx context.Context) (checkResult, error) {
	ctx, cancel := context.WithTimeout(ctx, AnswerTimeout(s.settings.Transport, s.Timeout)+explainTimeout)
	defer cancel()
	began := time.Now()
	opened, err := connection.Open(ctx, s.settings)
	took := time.Since(began).Round(time.Millisecond)
	if fault := new(report.Fault); errors.As(err, &fault) && fault.Cause == connection.APIVersionUnsupported {
		s.versionFault = fault // the check "API versions" reports it
		return pass("the engine answers in %s", took)
	}
	if err != nil {
		return checkResult{}, s.addTimeout(err)
	}
	s.connection = opened
	if s.OnWait != nil {
		opened.OnWait(s.OnWait)
	}
	if proxy := opened.Proxy(); proxy != "" {
		return pass("the engine answers in %s, through the proxy %s", took, proxy)
	}
	return pass("the engine answers in %s", took)
}

// addTimeout adds to the evidence of a timeout how long it was.
func (s *state) addTimeout(err error) error {
	fault := new(report.Fault)
	var timeout net.Error
	if !errors.As(err, &fault) || !errors.As(fault.Err, &timeout) || !timeout.Timeout() {
		return err
	}
	withTimeout := *fault
	withTimeout.Evidence = append(withTimeout.Evidence, fmt.Sprintf("nestprobe waited %s for an answer; a higher timeout makes it wait longer", AnswerTimeout(s.settings.Transport, s.Timeout)))
	return &withTimeout
}

func (s *state) checkEngineCertificate(context.Context) (checkResult, error) {
	if s.connection == nil || len(s.connection.Certificates()) == 0 {
		return skip("there is no engine certificate to check")
	}
	return checkValidity(s.connection.Certificates(), time.Now())
}

// expiryWarning is how long before its end a certificate gets a warning. A month
// is when certificate authorities write to their customers.
const expiryWarning = 30 * 24 * time.Hour

// checkValidity looks at the dates of certificates. An expired one is only a
// warning too: if it does harm, the handshake fails and reports it.
func checkValidity(certificates []connection.Certificate, now time.Time) (checkResult, error) {
	var described, problems []string
	fault := &report.Fault{Cause: connection.TLSExpired}
	for _, c := range certificates {
		described = append(described, fmt.Sprintf("%s: %s, until %s", c.Whose, c.Subject, c.NotAfter.UTC().Format(time.DateOnly)))
		problem := validityProblem(c, now)
		if problem == "" {
			continue
		}
		problems = append(problems, fmt.Sprintf("a certificate %s %s", c.Whose, problem))
		fault.Evidence = append(fault.Evidence, c.Description)
	}
	if len(problems) == 0 {
		return pass("%s", strings.Join(described, "; "))
	}
	fault.Evidence = append(fault.Evidence, "this machine's clock: "+now.UTC().Format(time.RFC3339))
	result, err := warn(fault, "%s", strings.Join(problems, "; "))
	result.title = strings.ToUpper(problems[0][:1]) + problems[0][1:]
	return result, err
}

// validityProblem is what is wrong with the dates of a certificate, or soon will
// be; empty for nothing.
func validityProblem(c connection.Certificate, now time.Time) string {
	switch left := c.NotAfter.Sub(now); {
	case now.Before(c.NotBefore):
		return "is valid only from " + c.NotBefore.UTC().Format(time.RFC3339)
	case left < 0:
		return "expired on " + c.NotAfter.UTC().Format(time.RFC3339)
	case left < 48*time.Hour:
		return fmt.Sprintf("expires in %d hours", int(left.Hours()))
	case left < expiryWarning:
		return fmt.Sprintf("expires in %d days", int(left.Hours()/24))
	default:
		return ""
	}
}
