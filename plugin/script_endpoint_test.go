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
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// selfSigned makes a certificate that is its own authority, and its key, both in
// PEM.
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

// onLoopback forwards a port of this machine's loopback to an engine's socket
// until the end of the test.
func onLoopback(t *testing.T, engine *enginetest.Engine) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	var working sync.WaitGroup
	working.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed
			}
			working.Go(func() { forward(t, client, engine.Socket) })
		}
	})
	t.Cleanup(func() {
		assert.Check(t, listener.Close())
		working.Wait()
	})
	return "tcp://" + listener.Addr().String()
}

// forward passes on what two sides say until one of them is gone.
func forward(t *testing.T, client net.Conn, socket string) {
	t.Helper()
	defer client.Close() //nolint:errcheck // both sides have ended
	engine, err := (&net.Dialer{}).DialContext(t.Context(), "unix", socket)
	if err != nil {
		return // the client sees it
	}
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(engine, client)
		_ = engine.Close()
	})
	_, _ = io.Copy(client, engine)
	_ = client.Close()
	up.Wait()
}

// squatted is an endpoint where a container of the name that the next one is to
// have exists already. What it makes is removed at the end of the test.
func squatted(t *testing.T, engine *enginetest.Engine) string {
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
