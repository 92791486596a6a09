package connection

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/refusal"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// diagnose turns a failed ping into a fault. The trace of the ping usually decides.
// If it does not, the same address is measured once more.
func (c *Connection) diagnose(ctx context.Context, seen trace, err error) error {
	fault := c.cause(ctx, &seen, err)
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return c.settings.reviewed(ctx, c.settings.withEndpoint(fault, seen.phase(), c.dialEvidence(&seen)...))
}

func (c *Connection) cause(ctx context.Context, seen *trace, err error) *report.Fault {
	refusal, exceeded := new(refusal.Refusal), new(bounds.Error)
	switch {
	case errors.As(err, &exceeded):
		return exceeded.Fault(err, c.settings.use().source)
	case errors.As(err, &refusal):
		return c.refusedPing(ctx, refusal, err)
	case c.settings.Transport == SSH:
		return c.sshCause(err, *seen)
	case seen.connected:
		return c.requestCause(ctx, seen, err)
	case seen.tlsStarted:
		return c.handshakeCause(ctx, seen, err)
	default:
		return c.connectCause(seen, err)
	}
}

// connectCause explains a ping that got no connection.
func (c *Connection) connectCause(seen *trace, err error) *report.Fault {
	if fault := c.loopbackFault(seen, err); fault != nil {
		return fault
	}
	for _, candidate := range []error{seen.dialErr(), err} {
		if fault := classify(candidate); fault != nil {
			return fault
		}
	}
	why := sentence.Of(err, "connecting to %s did not succeed", c.settings.Host)
	if isTimeout(err) {
		why = sentence.Of(err, "connecting to %s timed out", c.settings.Host)
	}
	return unreachable(why, "check the address, the network and the firewalls between")
}

// dialEvidence lists the addresses that were dialled, and the proxy if there is one.
func (c *Connection) dialEvidence(seen *trace) []string {
	var lines []string
	for _, d := range seen.dials {
		outcome := "connected"
		if d.err != nil {
			outcome = withoutAddress(d.err)
		}
		lines = append(lines, fmt.Sprintf("connect to %s: %s", d.address, outcome))
	}
	if seen.connected && c.isOwnLoopback(seen) {
		lines = append(lines, "the address is a loopback one, so this container has reached itself")
	}
	if proxy := c.proxy(); proxy != nil {
		lines = append(lines, fmt.Sprintf("through the proxy %s of the environment; NO_PROXY=%s would go around it",
			proxy.Redacted(), c.wire.base.Hostname()))
	}
	return lines
}

// withoutAddress is the error without the address, which the line shows already.
func withoutAddress(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	return err.Error()
}

// handshakeCause explains a ping that connected and failed in the TLS handshake.
func (c *Connection) handshakeCause(ctx context.Context, seen *trace, err error) *report.Fault {
	fault := tlsFault(seen.tlsErr)
	code, _ := Alert(seen.tlsErr)
	switch {
	case fault == nil:
		return c.handshakeClosed(ctx, seen, err)
	case fault.Cause == TLSUntrusted:
		return c.untrusted(fault)
	case fault.Cause == TLSClientCertRejected:
		return c.rejected(fault, c.repeatHandshake(ctx))
	case code == handshakeFailure:
		// A server requests the certificate after version and cipher are agreed, so
		// the reason for a failure after that is the certificate.
		if again := c.repeatHandshake(ctx); again.request != nil {
			return c.rejected(clientRejected(seen.tlsErr, code, "handshake failure after requesting it"), again)
		}
	}
	return fault
}

// handshakeClosed is for a handshake that ended without an answer in TLS.
func (c *Connection) handshakeClosed(ctx context.Context, seen *trace, err error) *report.Fault {
	host := c.settings.Host
	if seen.tlsErr == nil || isTimeout(seen.tlsErr) {
		why := sentence.Of(err, "%s accepts the connection, but does not answer the TLS handshake", host)
		return unreachable(why, "check that it is the engine's port, and the firewalls between")
	}
	if plain := c.requestPing(ctx, "http"); plain.apiVersion != "" {
		return notExpected(err, "without TLS, an engine answers: "+plain.String())
	}
	why := sentence.Of(err, "%s accepts the connection, but closes it during the TLS handshake", host)
	return unreachable(why, "check that it is the engine's port, and that the engine is running",
		"TLS handshake: "+seen.tlsErr.Error())
}

// untrusted adds the endpoint's CA to the evidence.
func (c *Connection) untrusted(fault *report.Fault) *report.Fault {
	authorities, _ := c.settings.Certificates()
	if len(authorities) == 0 {
		fault.Evidence = append(fault.Evidence, "the endpoint has no CA, so this machine's own CAs were used")
	}
	for _, ca := range authorities {
		fault.Evidence = append(fault.Evidence, ca.Description)
	}
	return fault
}

// rejected adds the certificate that the engine requested and the one it received.
func (c *Connection) rejected(fault *report.Fault, again handshake) *report.Fault {
	missing := c.settings.missingClientFiles()
	for _, path := range missing {
		fault.Evidence = append(fault.Evidence, "no file: "+path)
	}
	if len(missing) > 0 {
		fault.Evidence = append(fault.Evidence, certPathSource())
		fault.Hint = "put the client's cert.pem and key.pem there, or name them with --tlscert and --tlskey"
		fault.Err = sentence.Of(fault.Err, "the engine requires a client certificate, but there is none at %s", strings.Join(missing, " and "))
		if os.Getenv(client.EnvOverrideCertPath) != "" {
			fault.Cause = TLSCertPathMissing
		}
	}
	if again.request == nil {
		return fault
	}
	for _, subject := range acceptable(again.request) {
		fault.Evidence = append(fault.Evidence, "the engine accepts certificates issued by "+subject)
	}
	if _, own := c.settings.Certificates(); len(own) > 0 {
		leaf := own[0]
		fault.Evidence = append(fault.Evidence, leaf.Description)
		if now := time.Now(); now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
			fault.Hint = "renew the client certificate, which is not valid at " + stamp(now)
		}
		if !again.sent {
			fault.Evidence = append(fault.Evidence, "it was not sent, since its issuer is not one of those")
		}
		return fault
	}
	if len(missing) == 0 {
		fault.Evidence = append(fault.Evidence, "the endpoint has no client certificate")
		fault.Hint = "give the endpoint a client certificate and key that the engine's client CA has signed"
	}
	return fault
}

// requestCause explains a ping that was sent and got no answer from an engine.
func (c *Connection) requestCause(ctx context.Context, seen *trace, err error) *report.Fault {
	switch {
	case c.settings.Transport != TCP:
	case c.wire.tls == nil:
		if again := c.measureHandshake(ctx, acceptAnyPeer()); again.spoke {
			return required(err, again)
		}
	default:
		// In TLS 1.3 the alert that rejects a client comes after the handshake, and
		// the reset that follows may discard it.
		again := c.repeatHandshake(ctx)
		for _, candidate := range []error{err, again.err} {
			if fault := tlsFault(candidate); fault != nil && fault.Cause == TLSClientCertRejected {
				return c.rejected(fault, again)
			}
		}
	}
	return c.notAnEngine(ctx, seen, err)
}

func required(err error, again handshake) *report.Fault {
	spoke := "a TLS handshake at the same address is answered in TLS"
	return &report.Fault{
		Cause:    TLSRequired,
		Evidence: slices.Insert(describeCertificates("of the engine", again.peer), 0, spoke),
		Hint:     "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, or use a context with TLS files",
		Commands: []string{shell.Export(TLSVariables()...)},
		Err:      sentence.Of(err, "the engine requires TLS, but the client used plain HTTP"),
	}
}

// notAnEngine is for a server that accepts the connection and is not an engine.
func (c *Connection) notAnEngine(ctx context.Context, seen *trace, err error) *report.Fault {
	host := c.settings.Host
	fault := &report.Fault{Cause: EngineUnreachable, Hint: "check the endpoint's address and port"}
	if err != nil {
		fault.Evidence = append(fault.Evidence, "the client said: "+err.Error())
	}
	if !seen.answered && isTimeout(err) {
		fault.Hint = "check that the engine is not stuck, and what else may listen there"
		fault.Err = sentence.Of(err, "%s accepts the connection, but gives no answer", host)
		return fault
	}
	reply := c.requestPing(ctx, c.wire.base.Scheme)
	fault.Evidence = append(fault.Evidence, "second request: "+reply.String())
	switch {
	case reply.apiVersion != "":
		fault.Hint = "it answers now, so run the command once more"
		fault.Err = sentence.Of(err, "the engine at %s closed the connection", host)
	case reply.err == nil:
		fault.Err = sentence.Of(err, "what answers at %s is not a Docker engine", host)
	case seen.answered, c.speaksFirst(ctx, fault):
		fault.Err = sentence.Of(err, "what answers at %s does not speak HTTP", host)
	default:
		fault.Hint = "check that an engine is behind this address, it may be a forwarder's"
		fault.Err = sentence.Of(err, "%s accepts the connection, but closes it without an answer", host)
	}
	return fault
}

// refusedPing is for a ping that was answered with 401 or 403. If another call passes, an
// engine is there.
func (c *Connection) refusedPing(ctx context.Context, refused *refusal.Refusal, err error) *report.Fault {
	fault := refused.Fault(err)
	_, newest, versionErr := c.versionRange(ctx)
	if versionErr == nil {
		fault.Evidence = append(fault.Evidence, "GET /version is allowed, and the engine serves API versions up to "+newest)
		return fault
	}
	if again := new(refusal.Refusal); errors.As(versionErr, &again) {
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("%s was answered with %d too", again.Call, again.Status))
	}
	fault.Cause = EngineUnreachable
	fault.Hint = "check the endpoint's address and port, and which credentials what answers there requires"
	fault.Err = sentence.Of(err, "what answers at %s forbids every call that was tried (%d)", c.settings.Host, refused.Status)
	return fault
}

// speaksFirst says whether the other side sends something before any request, as
// servers of mail, databases and ssh do, and adds it to the evidence. net/http may
// see it or report a closed connection, which depends on timing.
func (c *Connection) speaksFirst(ctx context.Context, fault *report.Fault) bool {
	if c.settings.Transport != TCP || c.proxy() != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	conn, err := c.wire.dial(ctx, "tcp", c.wire.address())
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	defer interruptReads(ctx, conn)()
	greeting := make([]byte, 128)
	n, _ := conn.Read(greeting) // an error means that there is none
	if n > 0 {
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("it sends first: %q", strings.TrimSpace(string(greeting[:n]))))
	}
	return n > 0
}
