package endpoint

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/docker/cli/cli/context"
	"github.com/docker/cli/cli/context/docker"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// serve answers pings as an engine does, until the test ends. It returns the address.
func serve(t *testing.T, address string, config *tls.Config, adjust ...func(http.ResponseWriter)) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	assert.NilError(t, err)
	address = listener.Addr().String()
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	server := &http.Server{
		ErrorLog:          log.New(io.Discard, "", 0),
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, change := range adjust {
				change(w)
			}
			if !strings.HasSuffix(r.URL.Path, "/_ping") {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Api-Version", "1.41")
		}),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		assert.NilError(t, server.Close())
		assert.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return address
}

// clock makes a server say that it is another time.
func clock(ahead time.Duration) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
	}
}

// secured is an endpoint with TLS, as the docker CLI resolves it from DOCKER_HOST.
func secured(t *testing.T, host string, material context.TLSData) *Endpoint {
	t.Helper()
	resolved := docker.Endpoint{EndpointMeta: docker.EndpointMeta{Host: host}, TLSData: &material}
	e, err := newEndpoint(resolved, nil, origin{context: "default", setting: "DOCKER_HOST", written: host})
	assert.NilError(t, err)
	return e
}

const (
	day  = 24 * time.Hour
	year = 365 * day
)

func TestClockSkew(t *testing.T) {
	t.Parallel()
	ca, another := endpointtest.NewAuthority(t, "our ca"), endpointtest.NewAuthority(t, "another ca")
	client := ca.Client(t)
	server := func(adjust ...func(*x509.Certificate)) *tls.Config {
		return &tls.Config{Certificates: ca.Server(t, adjust...).TLS(t), ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert}
	}
	// at has a server judge certificates by another clock.
	at := func(config *tls.Config, ahead time.Duration) *tls.Config {
		config.Time = func() time.Time { return time.Now().Add(ahead) }
		return config
	}
	// optional has a server check only the certificate of a client that has one.
	optional := func(config *tls.Config) *tls.Config {
		config.ClientAuth = tls.VerifyClientCertIfGiven
		return config
	}
	of := func(pair endpointtest.Pair) context.TLSData {
		return context.TLSData{CA: ca.PEM, Cert: pair.Cert, Key: pair.Key}
	}
	foreign := server()
	foreign.ClientCAs = another.Pool()
	for name, test := range map[string]struct {
		server   *tls.Config
		date     time.Duration // how far the Date of answers is ahead
		material context.TLSData
		cause    report.Cause
		evidence string
		hint     string
	}{
		"the engine is ahead": {
			at(server(), 2*year), 2 * year, of(client),
			connection.ClockSkew, "so its clock is before", "compare them",
		},
		"the engine is behind": {
			at(server(), -2*year), -2 * year, of(client),
			connection.ClockSkew, "so its clock is before", "compare them",
		},
		"the engine is ahead, TLS 1.2": {
			func() *tls.Config { c := at(server(), 2*year); c.MaxVersion = tls.VersionTLS12; return c }(), 2 * year, of(client),
			connection.ClockSkew, "so its clock is before", "compare them",
		},
		"the engine tells its time to a client without a certificate": {
			optional(at(server(), 2*year)), 2 * year, of(client),
			connection.ClockSkew, "by which the certificate is not valid", "differ by 730 days", // 730 days
		},
		"the clocks agree, so the engine's CA has expired": {
			optional(at(server(), 2*year)), 0, of(client),
			connection.TLSClientCertRejected, "the clocks agree", "the CA of its --tlscacert",
		},
		"it is not known whether the client's CA has expired": {
			at(foreign, 2*year), 2 * year, of(another.Client(t)),
			connection.TLSClientCertRejected, "the engine's clock is not known", "",
		},
		"the client's certificate has expired": {
			server(), 0, of(ca.Client(t, endpointtest.Expire)),
			connection.TLSClientCertRejected, "certificate expired", "renew the client certificate",
		},
		"this machine is behind": {
			at(server(endpointtest.Postpone), 36*time.Hour), 36 * time.Hour, of(client),
			connection.TLSExpired, "the engine's clock is not known", "", // it refuses the client too, which is valid for an hour
		},
		"this machine is behind, and the engine does not check": {
			func() *tls.Config { c := server(endpointtest.Postpone); c.ClientAuth = tls.NoClientCert; return c }(), 36 * time.Hour, of(client),
			connection.ClockSkew, "by which the certificate is valid", "differ by 36 hours", // 36 hours
		},
		"the engine's certificate has expired": {
			server(endpointtest.Expire), 0, of(client),
			connection.TLSExpired, "the clocks agree", "renew the certificate",
		},
		"the engine's certificate has expired by both clocks, which differ": {
			server(endpointtest.Expire), 10 * day, of(client),
			connection.TLSExpired, "by which it is not valid either", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, "127.0.0.1:0", test.server, clock(test.date))
			_, err := secured(t, "tcp://"+address, test.material).Connect(t.Context())
			endpointtest.WantFault(t, err, test.cause, "", test.evidence)
			assert.Assert(t, strings.Contains(endpointtest.FaultOf(t, err).Hint, test.hint), endpointtest.FaultOf(t, err).Hint)
		})
	}
}
