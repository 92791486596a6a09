package endpointtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// Authority is a new CA.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	PEM         []byte
}

// NewAuthority makes a CA of this common name, valid for an hour around now.
func NewAuthority(t *testing.T, name string, adjust ...func(*x509.Certificate)) *Authority {
	t.Helper()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	for _, change := range adjust {
		change(template)
	}
	a := &Authority{}
	a.certificate, a.key, a.PEM = sign(t, template, nil)
	return a
}

// sign makes a certificate that is valid for an hour around now, unless the
// template says otherwise. It is signed by parent, or self-signed.
func sign(t *testing.T, template *x509.Certificate, parent *Authority) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	assert.NilError(t, err)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	assert.NilError(t, err)
	issuer, signer := template, key
	if parent != nil {
		issuer, signer = parent.certificate, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, signer)
	assert.NilError(t, err)
	certificate, err := x509.ParseCertificate(der)
	assert.NilError(t, err)
	return certificate, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// Pair is a certificate with its key, PEM.
type Pair struct{ Cert, Key []byte }

func (a *Authority) issue(t *testing.T, template *x509.Certificate) Pair {
	t.Helper()
	_, key, cert := sign(t, template, a)
	der, err := x509.MarshalECPrivateKey(key)
	assert.NilError(t, err)
	return Pair{cert, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})}
}

// Server is a server certificate for 127.0.0.1.
func (a *Authority) Server(t *testing.T, adjust ...func(*x509.Certificate)) Pair {
	t.Helper()
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "engine"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, change := range adjust {
		change(template)
	}
	return a.issue(t, template)
}

// Client is a client certificate.
func (a *Authority) Client(t *testing.T, adjust ...func(*x509.Certificate)) Pair {
	t.Helper()
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "client"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, change := range adjust {
		change(template)
	}
	return a.issue(t, template)
}

// Pool has only the CA.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// TLS is the pair for a tls.Config.
func (p Pair) TLS(t *testing.T) []tls.Certificate {
	t.Helper()
	certificate, err := tls.X509KeyPair(p.Cert, p.Key)
	assert.NilError(t, err)
	return []tls.Certificate{certificate}
}

// Folder writes the three files of a DOCKER_CERT_PATH.
func (a *Authority) Folder(t *testing.T, client Pair) string {
	t.Helper()
	dir := t.TempDir()
	Write(t, filepath.Join(dir, "ca.pem"), a.PEM)
	if client.Cert != nil {
		Write(t, filepath.Join(dir, "cert.pem"), client.Cert)
		Write(t, filepath.Join(dir, "key.pem"), client.Key)
	}
	return dir
}

// Expire makes a certificate that has expired.
func Expire(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
}

// Postpone makes a certificate that is not valid yet.
func Postpone(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(24*time.Hour), time.Now().Add(48*time.Hour)
}
