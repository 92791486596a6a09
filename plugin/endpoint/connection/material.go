package connection

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/docker/go-connections/tlsconfig"
)

// TLS is the TLS material of an endpoint of the kind [TCP]. All of it is PEM; nil
// stands for none. Pass it to [WithTLS] and do not keep it.
type TLS struct {
	CA         []byte `json:"-"` // nil: the CAs of this machine
	Cert       []byte `json:"-"` // of the client
	Key        []byte `json:"-"`
	SkipVerify bool   // accept any certificate of the engine

	// Folder is where docker looks for cert.pem and key.pem by default, and ignores a
	// missing one. It is empty if Cert and Key are from elsewhere.
	Folder string
}

// Format prints no material, whatever the verb.
func (t TLS) Format(state fmt.State, _ rune) {
	_, _ = fmt.Fprintf(io.Writer(state), "TLS (client certificate %t)", t.hasClient())
}

func (t TLS) hasClient() bool { return t.Cert != nil && t.Key != nil }

// Config is the TLS configuration that the docker CLI would use with the same
// files (docker/cli, cli/context/docker/load.go).
func (t TLS) Config() (*tls.Config, error) {
	config := tlsconfig.ClientDefault()
	config.InsecureSkipVerify = t.SkipVerify
	if t.CA != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(t.CA) {
			return nil, errors.New("the endpoint's ca.pem seems invalid")
		}
	}
	if !t.hasClient() {
		return config, nil
	}
	if err := t.checkKey(); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("the endpoint's client certificate: %w", err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

func (t TLS) checkKey() error {
	block, _ := pem.Decode(t.Key)
	if block == nil {
		return errors.New("the endpoint's key.pem holds no key")
	}
	// OpenSSL marks a key with a password like this (RFC 1421, section 4.6.1.1).
	if block.Headers["DEK-Info"] != "" || block.Type == "ENCRYPTED PRIVATE KEY" {
		return errors.New("the endpoint's key.pem is encrypted, which docker does not support")
	}
	return nil
}
