// Package certs makes the certificates of test engines behind TLS: a CA, a
// server's and a client's, as docker lays them out. Its callers are package keep
// and the nested engine's entry point, which runs in a container; it must not
// know of engines, and imports nothing but the standard library.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Write makes a CA and writes ca.pem, cert.pem and key.pem into both folders,
// which exist: for a server of these names and addresses, localhost and 127.0.0.1
// included, and for a client. Last, what is unusual about the certificates.
func Write(serverDir, clientDir string, names []string, addresses []netip.Addr, adjust ...func(server, client *x509.Certificate)) error {
	ca, err := newAuthority()
	if err != nil {
		return fmt.Errorf("making a CA: %w", err)
	}
	server := certificate("nestprobe test engine", x509.ExtKeyUsageServerAuth)
	server.DNSNames = append([]string{"localhost"}, names...)
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	for _, address := range addresses {
		server.IPAddresses = append(server.IPAddresses, address.AsSlice())
	}
	client := certificate("nestprobe test client", x509.ExtKeyUsageClientAuth)
	for _, change := range adjust {
		change(server, client)
	}
	if err := ca.issue(serverDir, server); err != nil {
		return fmt.Errorf("making the engine's certificate: %w", err)
	}
	if err := ca.issue(clientDir, client); err != nil {
		return fmt.Errorf("making the client's certificate: %w", err)
	}
	return nil
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificate("nestprobe test CA")
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert: cert, key: key}, err
}

// certificate is a template that is valid for longer than any test runs, from
// before now because clocks of engines differ.
func certificate(name string, usage ...x509.ExtKeyUsage) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  usage,
	}
}

func (a *authority) issue(dir string, template *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		"ca.pem":   {Type: "CERTIFICATE", Bytes: a.cert.Raw},
		"cert.pem": {Type: "CERTIFICATE", Bytes: der},
		"key.pem":  {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}
