package connection

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// diagnose turns a failed ping into a fault. What the ping itself went through
// usually decides; where it does not, the same address is looked at once more.
func (c *Connection) diagnose(ctx context.Context, seen sight, err error) error {
	fault := c.cause(ctx, &seen, err)
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return c.settings.place(fault, seen.phase(), c.wayEvidence(&seen)...)
}

func (c *Connection) cause(ctx context.Context, seen *sight, err error) *report.Fault {
	switch {
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
func (c *Connection) connectCause(seen *sight, err error) *report.Fault {
	if fault := c.loopbackFault(seen, err); fault != nil {
		return fault
	}
	for _, candidate := range []error{seen.dialErr(), err} {
		if fault := classify(candidate); fault != nil {
			return fault
		}
	}
	fault := &report.Fault{
		Cause: EngineUnreachable,
		Hint:  "check the address, the network and the firewalls between",
		Err:   sentence.Of(err, "connecting to %s did not succeed", c.settings.Host),
	}
	if isTimeout(err) {
		fault.Err = sentence.Of(err, "connecting to %s timed out", c.settings.Host)
	}
	return fault
}

// wayEvidence lists the addresses that were tried, and a proxy if one is in
// the way.
func (c *Connection) wayEvidence(seen *sight) []string {
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

// withoutAddress leaves out of an error what stands before it on the line.
func withoutAddress(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	return err.Error()
}

// proxy is the proxy that docker's client goes through, or nil.
func (c *Connection) proxy() *url.URL {
	if c.settings.Transport != TCP {
		return nil
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: c.wire.base})
	if err != nil {
		return nil // the client has failed with the same error
	}
	return proxy
}

// handshakeCause explains a ping that connected, but got no further than the
// TLS handshake.
func (c *Connection) handshakeCause(ctx context.Context, seen *sight, err error) *report.Fault {
	fault := tlsFault(seen.tlsErr)
	code, _ := alertOf(seen.tlsErr)
	switch {
	case fault == nil:
		return c.handshakeClosed(ctx, seen, err)
	case fault.Cause == TLSUntrusted:
		return c.untrusted(fault)
	case fault.Cause == TLSClientCertRejected:
		return c.rejected(fault, c.shakeAsClient(ctx))
	case code == handshakeFailure:
		// A server asks for the certificate once versions and ciphers are agreed
		// on, so a failure after that is the certificate's.
		if again := c.shakeAsClient(ctx); again.request != nil {
			return c.rejected(clientRejected(seen.tlsErr, code, "handshake failure after asking for it"), again)
		}
	}
	return fault
}

// handshakeClosed is for a handshake that ended without a word of TLS.
func (c *Connection) handshakeClosed(ctx context.Context, seen *sight, err error) *report.Fault {
	host := c.settings.Host
	if seen.tlsErr == nil || isTimeout(seen.tlsErr) {
		return &report.Fault{
			Cause: EngineUnreachable,
			Hint:  "check that it is the engine's port, and the firewalls between",
			Err:   sentence.Of(err, "%s accepts the connection, but does not answer the TLS handshake", host),
		}
	}
	if plain := c.ask(ctx, "http"); plain.apiVersion != "" {
		return notExpected(err, "asked without TLS, an engine answers: "+plain.String())
	}
	return &report.Fault{
		Cause:    EngineUnreachable,
		Evidence: []string{"TLS handshake: " + seen.tlsErr.Error()},
		Hint:     "check that it is the engine's port, and that the engine is running",
		Err:      sentence.Of(err, "%s accepts the connection, but closes it during the TLS handshake", host),
	}
}

// untrusted adds the endpoint's CA.
func (c *Connection) untrusted(fault *report.Fault) *report.Fault {
	material := c.settings.use().tls
	if material == nil || material.CA == nil {
		fault.Evidence = append(fault.Evidence, "the endpoint has no CA, so this machine's own CAs were used")
		return fault
	}
	for _, ca := range certificatesOf(material.CA) {
		fault.Evidence = append(fault.Evidence, describeCertificate("of the endpoint's CA", ca))
	}
	return fault
}

// rejected adds what the engine asked for and what it was given.
func (c *Connection) rejected(fault *report.Fault, again handshake) *report.Fault {
	missing := c.settings.missingClientFiles()
	for _, path := range missing {
		fault.Evidence = append(fault.Evidence, "no file: "+path)
	}
	if len(missing) > 0 {
		fault.Evidence = append(fault.Evidence, certPathSource())
		fault.Hint = "put the client's cert.pem and key.pem there, or name them with --tlscert and --tlskey"
		fault.Err = sentence.Of(fault.Err, "the engine wants a client certificate, but there is none at %s", strings.Join(missing, " and "))
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
	if leaf := c.clientCertificate(); leaf != nil {
		fault.Evidence = append(fault.Evidence, describeCertificate("of the client", leaf))
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

// clientCertificate is the certificate of the endpoint's client, or nil.
func (c *Connection) clientCertificate() *x509.Certificate {
	material := c.settings.use().tls
	if material == nil || material.Key == nil {
		return nil
	}
	if found := certificatesOf(material.Cert); len(found) > 0 {
		return found[0]
	}
	return nil
}

// requestCause explains a ping that was sent and got no answer of an engine.
func (c *Connection) requestCause(ctx context.Context, seen *sight, err error) *report.Fault {
	switch {
	case c.settings.Transport != TCP:
	case c.wire.tls == nil:
		if again := c.shake(ctx, spokenToAnyone()); again.spoke {
			return required(err, again)
		}
	default:
		// A rejected client learns of it by an alert that comes after the
		// handshake (TLS 1.3) and may be lost in the reset that follows it.
		again := c.shakeAsClient(ctx)
		for _, candidate := range []error{err, again.err} {
			if fault := tlsFault(candidate); fault != nil && fault.Cause == TLSClientCertRejected {
				return c.rejected(fault, again)
			}
		}
	}
	return c.stranger(ctx, seen, err)
}

func required(err error, again handshake) *report.Fault {
	fault := &report.Fault{
		Cause:    TLSRequired,
		Evidence: []string{"a TLS handshake at the same address is answered in TLS"},
		Hint:     "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, or use a context with TLS files",
		Commands: []string{"export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=…"},
		Err:      sentence.Of(err, "the engine wants TLS, but plain HTTP was spoken"),
	}
	for _, certificate := range again.peer {
		fault.Evidence = append(fault.Evidence, describeCertificate("of the engine", certificate))
	}
	return fault
}

// stranger is for whatever took the connection and is not an engine.
func (c *Connection) stranger(ctx context.Context, seen *sight, err error) *report.Fault {
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
	reply := c.ask(ctx, c.wire.base.Scheme)
	if reply.err != nil {
		fault.Evidence = append(fault.Evidence, "asked again: "+reply.err.Error())
	} else {
		fault.Evidence = append(fault.Evidence, "asked again: "+reply.String())
	}
	switch {
	case reply.apiVersion != "":
		fault.Hint = "it answers now, so run the command once more"
		fault.Err = sentence.Of(err, "the engine at %s closed the connection", host)
	case reply.err == nil:
		fault.Err = sentence.Of(err, "what answers at %s is not a Docker engine", host)
	case seen.answered:
		fault.Err = sentence.Of(err, "what answers at %s does not speak HTTP", host)
	case c.greets(ctx, fault):
		fault.Err = sentence.Of(err, "what answers at %s does not speak HTTP", host)
	default:
		fault.Hint = "check that an engine is behind this address, it may be a forwarder's"
		fault.Err = sentence.Of(err, "%s accepts the connection, but closes it without an answer", host)
	}
	return fault
}

// greets says whether the other side speaks before it is spoken to, as servers
// of mail, databases and ssh do, and adds its words to the fault. Whether
// net/http sees them or reports a closed connection is a matter of luck.
func (c *Connection) greets(ctx context.Context, fault *report.Fault) bool {
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
	words := make([]byte, 128)
	n, _ := conn.Read(words) // its end is an answer as well: no greeting
	if n > 0 {
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("it speaks first: %q", strings.TrimSpace(string(words[:n]))))
	}
	return n > 0
}

// interruptReads ends pending reads of a connection when ctx ends. The caller
// calls what it returns when there are none any more.
func interruptReads(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
}

// reply is what a plain GET of /_ping brought.
type reply struct {
	status     string
	apiVersion string
	server     string
	body       string
	err        error
}

func (r reply) String() string {
	return fmt.Sprintf("GET /_ping: %s, Api-Version %q, Server %q, body %q",
		r.status, r.apiVersion, r.server, strings.TrimSpace(r.body))
}

// ask sends GET /_ping through the client's own transport, so also through its
// proxy, and reads what docker's client drops.
func (c *Connection) ask(ctx context.Context, scheme string) reply {
	response, err := c.get(ctx, scheme, "/_ping")
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 512)) // shown as far as it came
	return reply{
		status:     response.Status,
		apiVersion: response.Header.Get("Api-Version"),
		server:     response.Header.Get("Server"),
		body:       string(body),
	}
}

// get asks for a path that has no API version. The caller closes the body; the
// request ends by itself after measureTimeout.
func (c *Connection) get(ctx context.Context, scheme, path string) (*http.Response, error) {
	target := c.wire.base.JoinPath(path)
	target.Scheme = scheme
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	for name, value := range c.settings.use().headers {
		request.Header.Set(name, value)
	}
	asker := c.client.HTTPClient()
	asker.Timeout = measureTimeout
	return asker.Do(request)
}

// handshake is what a TLS handshake of our own met with.
type handshake struct {
	spoke   bool                        // the other side answered in TLS
	request *tls.CertificateRequestInfo // set if it asked for a client certificate
	sent    bool                        // a client certificate was sent
	peer    []*x509.Certificate
	err     error // of the handshake or, if it stood, of the first read after it
}

// spokenToAnyone is for finding out whether TLS is spoken at all.
func spokenToAnyone() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true} //nolint:gosec // nothing is sent, and the peer's name is not what is asked
}

// shakeAsClient repeats the handshake as docker's client does it, and notes
// what certificate was asked for.
func (c *Connection) shakeAsClient(ctx context.Context) handshake {
	config := c.wire.tls.Clone()
	config.ServerName = c.wire.base.Hostname()
	var request *tls.CertificateRequestInfo
	var sent bool
	config.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		request = info
		for i := range config.Certificates {
			if info.SupportsCertificate(&config.Certificates[i]) == nil {
				sent = true
				return &config.Certificates[i], nil
			}
		}
		return &tls.Certificate{}, nil // as crypto/tls does by itself
	}
	result := c.shake(ctx, config)
	result.request, result.sent = request, sent
	return result
}

// shake does a TLS handshake with the endpoint's address and reads a byte. It
// does not go through a proxy, which would see another client than docker's;
// then it reports nothing.
func (c *Connection) shake(ctx context.Context, config *tls.Config) handshake {
	if c.proxy() != nil {
		return handshake{}
	}
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	raw, err := c.wire.dial(ctx, "tcp", c.wire.address())
	if err != nil {
		return handshake{err: err}
	}
	conn := tls.Client(raw, config)
	defer func() { _ = raw.Close() }()
	if err := conn.HandshakeContext(ctx); err != nil {
		_, alerted := alertOf(err)
		return handshake{spoke: alerted, err: err}
	}
	result := handshake{spoke: true, peer: conn.ConnectionState().PeerCertificates}
	// An engine that accepts us now waits for a request; one that does not says
	// so in its first record. Nothing is written, so no reset can swallow that.
	defer interruptReads(ctx, raw)()
	if _, err := conn.Read(make([]byte, 1)); !isTimeout(err) {
		result.err = err
	}
	return result
}

// acceptable are the names of the CAs that the engine asked for.
func acceptable(request *tls.CertificateRequestInfo) []string {
	var names []string
	for _, der := range request.AcceptableCAs {
		var name pkix.RDNSequence
		if _, err := asn1.Unmarshal(der, &name); err == nil {
			names = append(names, name.String())
		}
	}
	return names
}
