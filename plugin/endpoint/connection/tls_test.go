package connection

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// serveEngine puts the machine's engine behind a listener. A nil config is for
// plain HTTP. It returns the address.
func serveEngine(t *testing.T, config *tls.Config) string {
	t.Helper()
	return serve(t, config, engineProxy(t))
}

// forbidding is the machine's engine without one of its paths.
func forbidding(t *testing.T, suffix string) http.Handler {
	t.Helper()
	proxy := engineProxy(t)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, suffix) {
			http.Error(w, "Forbidden", http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, r)
	})
}

func engineProxy(t *testing.T) *httputil.ReverseProxy {
	t.Helper()
	socket := endpointtest.EngineSocket(t)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "engine"})
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", socket)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	proxy.Transport = transport
	return proxy
}

// serve runs an HTTP server on loopback until the test ends.
func serve(t *testing.T, config *tls.Config, handler http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	address := listener.Addr().String()
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	server := &http.Server{Handler: handler, ErrorLog: quiet()}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		assert.NilError(t, server.Close())
		assert.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return address
}

func TestTLSWorks(t *testing.T) {
	ca := endpointtest.NewAuthority(t, "ca")
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			address := serveEngine(t, &tls.Config{
				Certificates: ca.Server(t).TLS(t), ClientCAs: ca.Pool(),
				ClientAuth: tls.RequireAndVerifyClientCert, MaxVersion: version,
			})
			connection := connect(t, tcpSettings(address, materialOf(ca, ca.Client(t))))
			description, err := connection.Describe(t.Context())
			assert.NilError(t, err)
			described := description.Endpoint
			assert.Assert(t, described.TLS)
			assert.Equal(t, described.Transport, "tcp")
			assert.Assert(t, described.Engine.Version != "")
		})
	}
}

func TestTLSFaults(t *testing.T) {
	t.Parallel()
	ca, other := endpointtest.NewAuthority(t, "our ca"), endpointtest.NewAuthority(t, "another ca")
	oldCA := endpointtest.NewAuthority(t, "old ca", endpointtest.Expire)
	good := ca.Client(t)
	named := func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"elsewhere.example"} }
	for name, test := range map[string]struct {
		server   *tls.Config
		material *TLS
		cause    report.Cause
		sentence string
		evidence []string
	}{
		"another CA": {
			&tls.Config{Certificates: other.Server(t).TLS(t)}, materialOf(ca, good),
			TLSUntrusted, "not signed by the endpoint's CA",
			[]string{"phase reached: tls", `issuer "CN=another ca"`, "names 127.0.0.1", `of the endpoint's CA: subject "CN=our ca"`},
		},
		"no CA": {
			&tls.Config{Certificates: ca.Server(t).TLS(t)}, &TLS{Cert: good.Cert, Key: good.Key},
			TLSUntrusted, "not signed", []string{"this machine's own CAs"},
		},
		"expired CA": {
			&tls.Config{Certificates: oldCA.Server(t).TLS(t)}, materialOf(oldCA, good),
			TLSExpired, "a certificate of the endpoint's CA expired on", []string{"CN=old ca", "this machine's clock"},
		},
		"another name": {
			&tls.Config{Certificates: ca.Server(t, named).TLS(t)}, materialOf(ca, good),
			TLSHostnameMismatch, `not for "127.0.0.1"`, []string{"names elsewhere.example", `name of the endpoint: "127.0.0.1"`},
		},
		"expired": {
			&tls.Config{Certificates: ca.Server(t, endpointtest.Expire).TLS(t)}, materialOf(ca, good),
			TLSExpired, "of the engine expired on", []string{"valid from", "this machine's clock"},
		},
		"not valid yet": {
			&tls.Config{Certificates: ca.Server(t, endpointtest.Postpone).TLS(t)}, materialOf(ca, good),
			TLSExpired, "of the engine is valid only from", nil,
		},
		"client certificate missing, TLS 1.3": {
			&tls.Config{Certificates: ca.Server(t).TLS(t), ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()},
			&TLS{CA: ca.PEM},
			TLSClientCertRejected, "certificate required",
			[]string{"phase reached: request", "116", "issued by CN=our ca", "has no client certificate"},
		},
		"client certificate missing, TLS 1.2": {
			&tls.Config{Certificates: ca.Server(t).TLS(t), ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(), MaxVersion: tls.VersionTLS12},
			&TLS{CA: ca.PEM},
			TLSClientCertRejected, "", []string{"phase reached: tls", "has no client certificate"},
		},
		"client certificate of another CA": {
			&tls.Config{Certificates: ca.Server(t).TLS(t), ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()},
			materialOf(ca, other.Client(t)),
			TLSClientCertRejected, "", []string{"it was not sent", `issuer "CN=another ca"`},
		},
		"client certificate of another CA, the CAs not listed": {
			&tls.Config{Certificates: ca.Server(t).TLS(t), ClientAuth: tls.RequireAnyClientCert, VerifyPeerCertificate: refuse},
			materialOf(ca, other.Client(t)),
			TLSClientCertRejected, "bad certificate", []string{`issuer "CN=another ca"`},
		},
		"client certificate expired": {
			&tls.Config{Certificates: ca.Server(t).TLS(t), ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()},
			materialOf(ca, ca.Client(t, endpointtest.Expire)),
			TLSClientCertRejected, "renew the client certificate", []string{"of the client"},
		},
		"no TLS version in common": {
			&tls.Config{Certificates: ca.Server(t).TLS(t), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
			materialOf(ca, good),
			EngineUnreachable, "handshake was refused", []string{"alert of the other side: 70"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serveEngine(t, test.server)
			// The alert is lost only sometimes, so that case needs several attempts.
			for range 5 {
				err := connectFails(t, tcpSettings(address, test.material))
				endpointtest.WantFault(t, err, test.cause, test.sentence, test.evidence...)
			}
		})
	}
}

// refuse rejects a client certificate; the server does not list the CAs it accepts.
func refuse([][]byte, [][]*x509.Certificate) error { return errors.New("unknown client") }

func TestTLSRequired(t *testing.T) {
	t.Parallel()
	ca := endpointtest.NewAuthority(t, "ca")
	config := &tls.Config{Certificates: ca.Server(t).TLS(t), ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()}
	for name, address := range map[string]string{
		"Go's HTTP server, which answers 400":        serveTLS(t, config),
		"a TLS server that sends an alert":           serveEngine(t, config),
		"a TLS server that closes without an answer": serveStrictTLS(t, config),
		"a TLS server that answers in plain HTTP":    serveNginxLike(t, config),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := connectFails(t, tcpSettings(address, nil))
			endpointtest.WantFault(t, err, TLSRequired, "the client used plain HTTP", "certificate of the engine")
			assert.Assert(t, strings.Contains(strings.Join(endpointtest.FaultOf(t, err).Commands, " "), "DOCKER_TLS_VERIFY=1"))
		})
	}
}

func TestTLSNotExpected(t *testing.T) {
	t.Parallel()
	ca := endpointtest.NewAuthority(t, "ca")
	for name, address := range map[string]string{
		"Go's HTTP server":                       serveEngine(t, nil),
		"a server that closes without an answer": serveStrictHTTP(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := connectFails(t, tcpSettings(address, materialOf(ca, ca.Client(t))))
			endpointtest.WantFault(t, err, TLSNotExpected, "the engine speaks plain HTTP", "phase reached: tls")
		})
	}
}
