package enginetest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/internal/certs"
)

// The faults of a TLS front.
const (
	FrontHealthy   = "healthy"
	FrontExpired   = "expired"    // the certificate was good until yesterday
	FrontOtherName = "othername"  // it is for another host
	FrontOtherCA   = "otherca"    // the client's CA has not signed it
	FrontRejects   = "rejects"    // the client's certificate is of another CA
	FrontPlain     = "plain"      // there is no TLS
	FrontAhead     = "ahead"      // the engine's clock is two years ahead
	FrontOldClient = "old-client" // the client's certificate was good until yesterday
)

// TLSFront gives a local engine a TLS endpoint on this machine's loopback, with a
// given fault, until the test ends. It returns the endpoint's address and
// the folder with the client's files.
func (e *Engine) TLSFront(tb testing.TB, fault string) (host, certDir string) {
	tb.Helper()
	server, client := tb.TempDir(), tb.TempDir()
	must(tb, certs.Write(server, client, nil, nil, func(server, client *x509.Certificate) {
		switch fault {
		case FrontExpired:
			server.NotBefore, server.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
		case FrontOtherName:
			server.DNSNames, server.IPAddresses = []string{"engine.example"}, nil
		case FrontOldClient:
			client.NotBefore, client.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
		}
	}))
	config := serverConfig(tb, server)
	switch fault {
	case FrontOtherCA:
		must(tb, certs.Write(tb.TempDir(), client, nil, nil)) // another CA
	case FrontRejects:
		must(tb, certs.Write(tb.TempDir(), client, nil, nil)) // another CA
		must(tb, os.Remove(filepath.Join(client, "ca.pem")))
		must(tb, os.Link(filepath.Join(server, "ca.pem"), filepath.Join(client, "ca.pem")))
	case FrontPlain:
		config = nil
	case FrontAhead:
		config.Time = func() time.Time { return time.Now().Add(2 * 365 * 24 * time.Hour) }
	}
	return "tcp://" + e.forward(tb, config), client
}

// LoopbackEndpoint gives a local engine an endpoint without TLS on this machine's
// loopback until the test ends, and returns its address.
func (e *Engine) LoopbackEndpoint(tb testing.TB) string {
	tb.Helper()
	return "tcp://" + e.forward(tb, nil)
}

func serverConfig(tb testing.TB, dir string) *tls.Config {
	tb.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	must(tb, err)
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem")) //nolint:gosec // made by this test
	must(tb, err)
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert, // as dockerd with --tlsverify
		ClientCAs:    clients,
		MinVersion:   tls.VersionTLS12,
	}
}

// forward listens on loopback, in TLS unless config is nil, and passes on what
// comes to the engine's socket. It returns the address.
func (e *Engine) forward(tb testing.TB, config *tls.Config) string {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	must(tb, err)
	address := listener.Addr().String()
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed by the test's end
			}
			running.Go(func() { e.pass(ctx, conn) })
		}
	})
	tb.Cleanup(func() {
		cancel()
		must(tb, listener.Close())
		running.Wait()
	})
	return address
}

// pass copies between the client and the engine until one side has ended.
func (e *Engine) pass(ctx context.Context, conn net.Conn) {
	defer conn.Close() //nolint:errcheck // nothing is left to send
	if secured, ok := conn.(*tls.Conn); ok && secured.HandshakeContext(ctx) != nil {
		return
	}
	engine, err := (&net.Dialer{}).DialContext(ctx, "unix", e.Socket)
	if err != nil {
		return
	}
	defer engine.Close() //nolint:errcheck // as above
	defer context.AfterFunc(ctx, func() { _ = errors.Join(conn.Close(), engine.Close()) })()
	var copying sync.WaitGroup
	for _, pair := range [][2]net.Conn{{conn, engine}, {engine, conn}} {
		copying.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			_ = errors.Join(pair[0].Close(), pair[1].Close())
		})
	}
	copying.Wait()
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
