package netprobe_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// certificate makes a self-signed one for 127.0.0.1, ::1 and the name
// server.test, changed by change.
func certificate(t *testing.T, change func(*x509.Certificate)) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "netprobe test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		DNSNames:     []string{"server.test"},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func asItIs(*x509.Certificate) {}

// tlsServer serves the built-in server's pages over TLS.
func tlsServer(t *testing.T, config *tls.Config) string {
	t.Helper()
	server := httptest.NewUnstartedServer(builtin())
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the tests make handshakes fail
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestTLS(t *testing.T) {
	t.Parallel()
	const phase = netprobe.PhaseTLS
	for name, test := range map[string]struct {
		change func(*x509.Certificate)
		server func(*tls.Config)
		client func(*tls.Config)
		want   want
	}{
		"good": {
			want: want{phase: webSocket, status: 200, body: "foo", identity: verified,
				websocket: netprobe.WebSocketOK, detail: "answered 200, WebSocket echoed"},
		},
		"good for the name of the target": {
			change: func(c *x509.Certificate) { c.IPAddresses = nil },
			client: func(c *tls.Config) { c.ServerName = "server.test" },
			want: want{phase: webSocket, status: 200, body: "foo", identity: verified,
				websocket: netprobe.WebSocketOK},
		},
		"unknown authority": {
			client: func(c *tls.Config) { c.RootCAs = x509.NewCertPool() },
			want:   want{failure: netprobe.TLSUntrusted, phase: phase, detail: "unknown authority"},
		},
		"not for servers": {
			change: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
			want:   want{failure: netprobe.TLSUntrusted, phase: phase, detail: "key usage"},
		},
		"other name": {
			change: func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(10, 231, 0, 1)} },
			want:   want{failure: netprobe.TLSHostnameMismatch, phase: phase, detail: "10.231.0.1, not 127.0.0.1"},
		},
		"expired": {
			change: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) },
			want:   want{failure: netprobe.TLSExpired, phase: phase, detail: "expired"},
		},
		"not valid yet": {
			change: func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) },
			want:   want{failure: netprobe.TLSExpired, phase: phase, detail: "not yet valid"},
		},
		"no version in common": {
			server: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
			client: func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 },
			want:   want{failure: netprobe.TLSHandshake, phase: phase, detail: "protocol version"},
		},
		"client certificate missing, TLS 1.2": {
			server: func(c *tls.Config) {
				c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
			},
			want: want{failure: netprobe.TLSHandshake, phase: phase},
		},
		// In TLS 1.3 the client learns of the failure only when it reads.
		"client certificate missing, TLS 1.3": {
			server: func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert },
			want:   want{failure: netprobe.TLSHandshake, phase: request, detail: "certificate required"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.change == nil {
				test.change = asItIs
			}
			cert, roots := certificate(t, test.change)
			server := &tls.Config{Certificates: []tls.Certificate{cert}}
			client := &tls.Config{RootCAs: roots}
			if test.server != nil {
				test.server(server)
			}
			if test.client != nil {
				test.client(client)
			}
			target := netprobe.Target{
				Scheme: netprobe.HTTPS, Address: tlsServer(t, server),
				Path: "/foo", WebSocket: "/ws", Identity: identity,
			}
			check(t, probe(t, target, netprobe.Options{Timeout: longTimeout, TLS: client}), test.want)
		})
	}
}

// TestTLSSystemRoots: without a configuration of the caller, the certificate is
// verified too.
func TestTLSSystemRoots(t *testing.T) {
	t.Parallel()
	cert, _ := certificate(t, asItIs)
	target := netprobe.Target{
		Scheme:  netprobe.HTTPS,
		Address: tlsServer(t, &tls.Config{Certificates: []tls.Certificate{cert}}),
	}
	check(t, probe(t, target, netprobe.Options{Timeout: longTimeout}),
		want{failure: netprobe.TLSUntrusted, phase: netprobe.PhaseTLS})
}

// TestTLSOnOtherPorts probes servers that do not speak TLS.
func TestTLSOnOtherPorts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		server  func(net.Conn)
		timeout time.Duration
		want    want
	}{
		"silent": {
			server: func(net.Conn) {}, timeout: shortTimeout,
			want: want{failure: netprobe.NoResponse, detail: "no answer to the TLS handshake within 250ms"},
		},
		"closes": {
			server: func(conn net.Conn) { _, _ = conn.Read(make([]byte, 5000)); _ = conn.Close() },
			want:   want{failure: netprobe.TLSClosed, detail: "closed during the TLS handshake"},
		},
		"resets": {
			server: resets(func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }),
			want:   want{failure: netprobe.TLSClosed},
		},
		"closes within a record": {
			server: func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 5000))
				_, _ = conn.Write([]byte("\x16\x03\x03\x00\x50ab"))
				_ = conn.Close()
			},
			want: want{failure: netprobe.TLSClosed},
		},
		"speaks first": {
			server: greets("SSH-2.0-x\r\n"),
			want:   want{failure: netprobe.TLSOnPlainPort, detail: `begins with "SSH-2"`},
		},
		"speaks TLS wrongly": {
			server: greets("\x16\x03\x03\xff\xff"),
			want:   want{failure: netprobe.TLSHandshake},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.timeout == 0 {
				test.timeout = longTimeout
			}
			target := netprobe.Target{Scheme: netprobe.HTTPS, Address: serve(t, "tcp4", test.server)}
			test.want.phase = netprobe.PhaseTLS
			check(t, probe(t, target, netprobe.Options{Timeout: test.timeout}), test.want)
		})
	}
}

func TestTLSToAnHTTPServer(t *testing.T) {
	t.Parallel()
	target := netprobe.Target{Scheme: netprobe.HTTPS, Address: webServer(t, http.NotFoundHandler())}
	check(t, probe(t, target, netprobe.Options{Timeout: longTimeout}),
		want{failure: netprobe.TLSOnPlainPort, phase: netprobe.PhaseTLS, detail: `begins with "HTTP/"`})
}

func TestHTTPToATLSServer(t *testing.T) {
	t.Parallel()
	cert, _ := certificate(t, asItIs)
	target := netprobe.Target{
		Address:  tlsServer(t, &tls.Config{Certificates: []tls.Certificate{cert}}),
		Identity: identity,
	}
	check(t, probe(t, target, netprobe.Options{Timeout: longTimeout}), want{
		failure: netprobe.NotHTTP, phase: answer, status: 400,
		body: "Client sent an HTTP request to an HTTPS server.\n", detail: "needs https",
	})
}
