package connection

import (
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
)

// Certificate describes a certificate without its key.
type Certificate struct {
	Whose               string // such as "of the engine", as a part of a sentence
	Description         string // subject, issuer, names and dates
	Subject             string
	NotBefore, NotAfter time.Time
}

// Certificates are those of the endpoint's TLS material: its CAs and its client
// certificate.
func (s Settings) Certificates() (authorities, client []Certificate) {
	material := s.use().tls
	if !s.TLS || material == nil {
		return nil, nil
	}
	authorities = certificates("of the endpoint's CA", certificatesOf(material.CA))
	if !material.hasClient() {
		return authorities, nil
	}
	return authorities, certificates("of the client", certificatesOf(material.Cert))
}

// Certificates are those that the engine sent; none without TLS.
func (c *Connection) Certificates() []Certificate {
	return certificates("of the engine", c.peer)
}

func certificates(whose string, found []*x509.Certificate) []Certificate {
	shown := make([]Certificate, len(found))
	for i, c := range found {
		shown[i] = Certificate{
			Whose:       whose,
			Description: describeCertificate(whose, c),
			Subject:     c.Subject.String(),
			NotBefore:   c.NotBefore,
			NotAfter:    c.NotAfter,
		}
	}
	return shown
}

// certificatesOf parses PEM; what is not a certificate is passed over.
func certificatesOf(data []byte) []*x509.Certificate {
	var found []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			found = append(found, certificate)
		}
	}
	return found
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

func describeCertificates(whose string, found []*x509.Certificate) []string {
	lines := make([]string, len(found))
	for i, c := range found {
		lines[i] = describeCertificate(whose, c)
	}
	return lines
}

// describeCertificate gives whose a certificate is, its names and its dates.
func describeCertificate(whose string, c *x509.Certificate) string {
	names := append([]string{}, c.DNSNames...)
	for _, address := range c.IPAddresses {
		names = append(names, address.String())
	}
	// Each name is cut on its own, so that the dates fit on the line.
	subject, issuer := sentence.Visible(c.Subject.String()), sentence.Visible(c.Issuer.String())
	return fmt.Sprintf("certificate %s: subject %q, issuer %q, names %s, valid from %s to %s",
		whose, subject, issuer, sentence.Visible(cmp.Or(strings.Join(names, " "), "none")), stamp(c.NotBefore), stamp(c.NotAfter))
}
