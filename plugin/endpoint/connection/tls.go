package connection

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// tlsFault explains a TLS failure by the type of its error, or returns nil.
func tlsFault(err error) *report.Fault {
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return recordFault(err, record)
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return notExpected(err, "the answer to the TLS handshake was plain HTTP")
	}
	if fault := certificateFault(err); fault != nil {
		return fault
	}
	code, ok := Alert(err)
	if !ok {
		return nil
	}
	if name, rejected := rejections[code]; rejected {
		return clientRejected(err, code, name)
	}
	return unreachable(sentence.Of(err, "the TLS handshake was refused (%s)", err),
		"check the TLS versions and ciphers of the engine, at least TLS 1.2 is needed",
		fmt.Sprintf("TLS alert of the other side: %d", code))
}

func clientRejected(err error, code uint8, name string) *report.Fault {
	return &report.Fault{
		Cause:    TLSClientCertRejected,
		Evidence: []string{fmt.Sprintf("TLS alert of the engine: %d, %s", code, name)},
		Hint:     "use a client certificate that is signed by the engine's client CA",
		Err:      sentence.Of(err, "the engine does not accept the client certificate (%s)", name),
	}
}

// recordFault is for an answer to the handshake that is not TLS.
func recordFault(err error, record tls.RecordHeaderError) *report.Fault {
	first := string(record.RecordHeader[:])
	evidence := "the answer to the TLS handshake began with " + first
	if first == "HTTP/" {
		return notExpected(err, evidence)
	}
	why := sentence.Of(err, "what listens at the endpoint speaks neither TLS nor HTTP")
	return unreachable(why, "check the port of the endpoint", evidence)
}

func notExpected(err error, evidence string) *report.Fault {
	return &report.Fault{
		Cause:    TLSNotExpected,
		Evidence: []string{evidence},
		Hint:     "drop the TLS settings (DOCKER_TLS_VERIFY, --tls, --tlsverify, the context's files), or turn TLS on in the engine",
		Commands: []string{UnsetTLS()},
		Err:      sentence.Of(err, "TLS was tried, but the engine speaks plain HTTP there"),
	}
}

// TLSVariables turn TLS on for an endpoint of the environment.
func TLSVariables() []shell.Assignment {
	return []shell.Assignment{{Name: client.EnvTLSVerify, Value: "1"}, {Name: client.EnvOverrideCertPath, Value: "FOLDER"}}
}

// UnsetTLS is the command that turns it off.
func UnsetTLS() string { return shell.Unset(client.EnvTLSVerify, "DOCKER_TLS") }

// certificateFault explains a certificate of the engine that does not verify.
func certificateFault(err error) *report.Fault {
	switch netprobe.CertificateFailure(err) {
	case netprobe.TLSHostnameMismatch:
		var mismatch x509.HostnameError
		errors.As(err, &mismatch)
		return &report.Fault{
			Cause:    TLSHostnameMismatch,
			Evidence: append([]string{fmt.Sprintf("name of the endpoint: %q", mismatch.Host)}, describeUnverified(err)...),
			Hint:     "use one of its names as the endpoint's host, or give the engine a certificate for " + mismatch.Host,
			Err:      sentence.Of(err, "the engine's certificate is not for %q", mismatch.Host),
		}
	case netprobe.TLSExpired:
		var invalid x509.CertificateInvalidError
		errors.As(err, &invalid)
		return expired(owner(err, invalid.Cert), invalid.Cert, err)
	case netprobe.TLSUntrusted:
		return &report.Fault{
			Cause:    TLSUntrusted,
			Evidence: describeUnverified(err),
			Hint:     "use the ca.pem that signed the engine's certificate",
			Err:      sentence.Of(err, "the engine's certificate is not signed by the endpoint's CA"),
		}
	}
	return nil
}

// describeUnverified describes the certificates that the engine sent.
func describeUnverified(err error) []string {
	var verification *tls.CertificateVerificationError
	if !errors.As(err, &verification) {
		return nil
	}
	return describeCertificates("of the engine", verification.UnverifiedCertificates)
}

// owner says whether a certificate was sent by the engine or is the endpoint's.
func owner(err error, certificate *x509.Certificate) string {
	var verification *tls.CertificateVerificationError
	if errors.As(err, &verification) && !slices.ContainsFunc(verification.UnverifiedCertificates, certificate.Equal) {
		return "of the endpoint's CA"
	}
	return "of the engine"
}

// expired is for a certificate outside of its dates. Go also calls a certificate
// expired that is not valid yet.
func expired(whose string, certificate *x509.Certificate, err error) *report.Fault {
	now := time.Now()
	what := "expired on " + stamp(certificate.NotAfter)
	if now.Before(certificate.NotBefore) {
		what = "is valid only from " + stamp(certificate.NotBefore)
	}
	return &report.Fault{
		Cause:    TLSExpired,
		Evidence: []string{describeCertificate(whose, certificate), "this machine's clock: " + stamp(now)},
		Hint:     "renew it, or correct this machine's clock",
		Err:      sentence.Of(err, "a certificate %s %s", whose, what),
	}
}

// rejections are the alerts with which a server refuses a client certificate
// (RFC 5246, section 7.2.2; RFC 8446, section 6.2). With TLS 1.2 Go and OpenSSL
// send handshakeFailure for a missing one, which has other meanings too.
var rejections = map[uint8]string{
	42:  "bad certificate",
	43:  "unsupported certificate",
	44:  "certificate revoked",
	45:  "certificate expired",
	46:  "certificate unknown",
	48:  "unknown CA",
	49:  "access denied",
	51:  "decrypt error",
	116: "certificate required",
}

const handshakeFailure = 40 // RFC 8446, section 6.2

// Alert returns the alert that the other side sent (RFC 8446, section 6.2). crypto/tls
// hands it out as an unexported type of kind uint8 in a net.OpError with its own Op, so
// the value is read by its kind, not from its text.
func Alert(err error) (code uint8, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" || op.Err == nil {
		return 0, false
	}
	value := reflect.ValueOf(op.Err)
	if value.Kind() != reflect.Uint8 {
		return 0, false
	}
	return uint8(value.Uint()), true //nolint:gosec // its kind is uint8
}
