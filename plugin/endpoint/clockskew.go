package endpoint

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// sameClock is how far two clocks may differ that agree. Certificates are valid for days,
// and the Date of an answer is up to the seconds old that the answer takes.
const sameClock = time.Minute

// alertExpired is what a server answers to a certificate that is outside of its dates by
// the server's clock (RFC 8446, section 6.2). Go's sends it for one that is not valid
// yet, too; OpenSSL's sends 42 for that, which has other meanings.
const alertExpired = 45

// clockSkew explains a certificate that is outside of its dates by the clock of one side,
// but not by that of the other.
func (r reviewer) clockSkew(ctx context.Context, fault *report.Fault) *report.Fault {
	switch fault.Cause {
	case connection.TLSClientCertRejected:
		return r.clientSkew(ctx, fault)
	case connection.TLSExpired:
		return r.engineSkew(ctx, fault)
	default:
		return nil
	}
}

// clientSkew is for a client certificate that the engine refuses, and that is valid by
// this machine's clock.
func (r reviewer) clientSkew(ctx context.Context, fault *report.Fault) *report.Fault {
	leaf := r.clientCertificate()
	now := time.Now()
	if leaf == nil || !validAt(leaf, now) {
		return nil
	}
	code, _ := connection.Alert(fault.Err)
	chain := r.chain(leaf, now)
	at, source, known := r.engineClock(ctx)
	ours := "this machine's clock: " + stamp(now)
	switch {
	case !known && code == alertExpired && chain != nil:
		from, until := window(chain)
		fault.Evidence = append(fault.Evidence, ours,
			fmt.Sprintf("the engine refuses the certificate as expired or not valid yet, so its clock is before %s or after %s", stamp(from), stamp(until)))
		return skewed(fault, "the engine refuses a client certificate for its dates, which is valid by this machine's clock", "")
	case !known:
		fault.Evidence = append(fault.Evidence, ours+", by which the certificate is valid; the engine's clock is not known, since nothing there gives a date without a certificate")
		return nil
	case isSame(at, now):
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("the clocks agree: %s here, %s on the engine's side (%s)", stamp(now), stamp(at), source))
		if code == alertExpired {
			fault.Hint = "the certificate is within its dates, so renew what the engine has: the CA of its --tlscacert"
		}
		return nil
	case validAt(leaf, at):
		fault.Evidence = append(fault.Evidence, ours, fmt.Sprintf("the engine's clock: %s (%s), by which the certificate is valid too", stamp(at), source))
		return nil
	}
	fault.Evidence = append(fault.Evidence, ours, fmt.Sprintf("the engine's clock: %s (%s), by which the certificate is not valid", stamp(at), source))
	return skewed(fault, "the client certificate is valid by this machine's clock, but not by the engine's", " by "+span(at.Sub(now)))
}

// engineSkew is for a certificate that this machine refuses for its dates.
func (r reviewer) engineSkew(ctx context.Context, fault *report.Fault) *report.Fault {
	var invalid x509.CertificateInvalidError
	if !errors.As(fault.Err, &invalid) || invalid.Cert == nil {
		return nil
	}
	now := time.Now()
	at, source, known := r.engineClock(ctx)
	switch {
	case !known:
		fault.Evidence = append(fault.Evidence, "the engine's clock is not known: nothing there gives a date")
		return nil
	case isSame(at, now):
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("the clocks agree: the engine's is %s (%s)", stamp(at), source))
		fault.Hint = "renew the certificate"
		return nil
	case !validAt(invalid.Cert, at):
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("the engine's clock: %s (%s), by which it is not valid either", stamp(at), source))
		return nil
	}
	fault.Evidence = append(fault.Evidence, fmt.Sprintf("the engine's clock: %s (%s), by which the certificate is valid", stamp(at), source))
	return skewed(fault, "a certificate is valid by the engine's clock, but not by this machine's", " by "+span(at.Sub(now)))
}

// skewed is the fault of clocks that differ, by so much if that is known.
func skewed(fault *report.Fault, what, by string) *report.Fault {
	return &report.Fault{
		Cause:    connection.ClockSkew,
		Evidence: fault.Evidence,
		Hint:     fmt.Sprintf("the clocks of this machine and of the engine's differ%s: compare them, and set the wrong one", by),
		Commands: []string{"date -u", "sudo timedatectl set-ntp true"},
		Err:      sentence.Of(fault.Err, "%s", what),
	}
}

func isSame(a, b time.Time) bool { return a.Sub(b).Abs() <= sameClock }

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// span is a duration in words, for a person who compares clocks.
func span(d time.Duration) string {
	d = d.Abs().Round(time.Minute)
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	default:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
}

func validAt(certificate *x509.Certificate, at time.Time) bool {
	return !at.Before(certificate.NotBefore) && !at.After(certificate.NotAfter)
}

// window is the time within which all certificates are valid.
func window(chain []*x509.Certificate) (from, until time.Time) {
	from, until = chain[0].NotBefore, chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotBefore.After(from) {
			from = c.NotBefore
		}
		if c.NotAfter.Before(until) {
			until = c.NotAfter
		}
	}
	return from, until
}

// clientCertificate is the endpoint's, or nil.
func (r reviewer) clientCertificate() *x509.Certificate {
	pair, err := tls.X509KeyPair(r.material.Cert, r.material.Key)
	if err != nil {
		return nil
	}
	return pair.Leaf
}

// chain is a client certificate with the CAs above it, all valid now; nil if the
// endpoint's CA has not signed it. Without the CA it is not known whether that has expired.
func (r reviewer) chain(leaf *x509.Certificate, now time.Time) []*x509.Certificate {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(r.material.CA) {
		return nil
	}
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil
	}
	return chains[0]
}

// engineClock is the Date of any answer from the engine's host, and what it answered. A
// server that refuses a client certificate in TLS gives no date, but one that checks it
// afterwards does, and so may the port of the endpoint without TLS or its neighbour.
func (r reviewer) engineClock(ctx context.Context) (at time.Time, source string, known bool) {
	target := r.url()
	config, err := r.material.Config()
	if target == nil || err != nil {
		return time.Time{}, "", false
	}
	config.InsecureSkipVerify = true // only the date is read
	anonymous := config.Clone()
	anonymous.Certificates = nil
	for _, ask := range []struct {
		scheme, host string
		config       *tls.Config
	}{
		{"https", target.Host, config},
		{"https", target.Host, anonymous},
		{"http", target.Host, nil},
		{"http", net.JoinHostPort(target.Hostname(), portPlain), nil},
	} {
		proxied := r.proxy() != nil
		if proxied && ask.scheme == "http" {
			continue // the date would be the proxy's
		}
		at, err := dateOf(ctx, ask.scheme+"://"+ask.host+"/_ping", ask.config, proxied)
		if err == nil {
			return at, fmt.Sprintf("Date of an answer from %s://%s", ask.scheme, ask.host), true
		}
	}
	return time.Time{}, "", false
}

// dateOf requests a URL and returns the Date of the answer, whatever that is. It sends no
// custom header, since the other side is not verified.
func dateOf(ctx context.Context, address string, config *tls.Config, proxied bool) (time.Time, error) {
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	if proxied {
		transport.Proxy = http.ProxyFromEnvironment
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return time.Time{}, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = response.Body.Close() }()
	return http.ParseTime(response.Header.Get("Date"))
}
