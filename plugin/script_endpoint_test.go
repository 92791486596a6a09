//go:build linux

package plugin_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/rogpeppe/go-internal/testscript"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// Words of scripts that give the engine another endpoint, and a certificate for a
// server.

// selectTLSEndpoint gives the engine a TLS endpoint with a fault, and selects it:
// `tlsfront FAULT`; see [enginetest.Engine.TLSFront].
func selectTLSEndpoint(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	host, certs := s.engine.TLSFront(s, args[0])
	ts.Setenv("DOCKER_HOST", host)
	ts.Setenv("DOCKER_TLS_VERIFY", "1")
	ts.Setenv("DOCKER_CERT_PATH", certs)
}

// openLoopbackEndpoint puts an endpoint on this machine's loopback that leads to the
// engine into a variable: `loopback VARIABLE`.
func openLoopbackEndpoint(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	ts.Setenv(args[0], s.engine.LoopbackEndpoint(s))
}

// openSquattedEndpoint puts an endpoint into a variable on which another client
// always takes the name of a container first: `squatter VARIABLE`.
func openSquattedEndpoint(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	ts.Setenv(args[0], startSquatter(s.T, s.engine))
}

// makeCertificate makes a self-signed certificate for names, valid from and until so
// long from now: `certificate FROM UNTIL NAME...`. It writes the file cert.pem, and
// puts certificate and key into the environment, where the test server looks for them.
func makeCertificate(ts *testscript.TestScript, _ bool, args []string) {
	cert, key, err := selfSigned(args[0], args[1], args[2:])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("cert.pem"), cert, 0o600))
	ts.Setenv("TESTSERVER_CERT", string(cert))
	ts.Setenv("TESTSERVER_KEY", string(key))
}

// selfSigned makes a self-signed certificate and its key, both in PEM.
func selfSigned(from, until string, names []string) (cert, key []byte, err error) {
	begins, err := time.ParseDuration(from)
	if err != nil {
		return nil, nil, err
	}
	ends, err := time.ParseDuration(until)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "nestprobe test"},
		NotBefore:    time.Now().Add(begins),
		NotAfter:     time.Now().Add(ends),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), err
}

// startSquatter starts an endpoint that creates a container of the same name before it
// passes on a request to create one. What it creates is removed at the end of the test.
func startSquatter(t *testing.T, engine *enginetest.Engine) string {
	t.Helper()
	api, image := engine.Client(t), enginetest.TestImage(t, engine)
	var mu sync.Mutex
	var made []string
	t.Cleanup(func() {
		for _, id := range made {
			assert.Check(t, api.ContainerRemove(context.WithoutCancel(t.Context()), id, container.RemoveOptions{Force: true}))
		}
	})
	return startTap(t, engine, func(m moment) {
		if !m.is("POST /containers/create", false) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		created, err := api.ContainerCreate(t.Context(), &container.Config{Image: image}, nil, nil, nil, m.Name)
		assert.Check(t, err)
		made = append(made, created.ID)
	}).Host
}
