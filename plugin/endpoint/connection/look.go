package connection

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/docker/docker/api/types/versions"
)

// WithPatience returns the settings with another bound on how long the engine may
// take to answer [Open]. Finding out why it does not may take 2 s more.
func (s Settings) WithPatience(patience time.Duration) Settings {
	s.patience = patience
	return s
}

// Verified says whether the engine's certificate is verified.
func (s Settings) Verified() bool {
	material := s.use().tls
	return s.TLS && material != nil && !material.SkipVerify
}

// Headers is how many HTTP headers of the user's go with every request. Nothing
// else is told of them.
func (s Settings) Headers() int { return len(s.use().headers) }

// Certificate is a certificate in words that are safe to show. There is no key.
type Certificate struct {
	Whose               string // "of the engine", as a part of a sentence
	Description         string // all of it: subject, issuer, names and dates
	Subject             string
	NotBefore, NotAfter time.Time
}

// Certificates are those of the endpoint's own TLS material: its CAs and its
// client certificate.
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

// Certificates are those that the engine showed; none without TLS.
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

// Proxy is host and port of the HTTP proxy of the environment that requests to
// the engine go through; empty for none.
func (c *Connection) Proxy() string {
	if proxy := c.proxy(); proxy != nil {
		return proxy.Host
	}
	return ""
}

// APIVersions are the oldest and the newest version of the API that the engine
// serves, and the one that is used with it.
type APIVersions struct{ Oldest, Newest, Used string }

// APIVersions asks the engine for its versions. A client that speaks none of them
// is an error of type [*report.Fault].
func (c *Connection) APIVersions(ctx context.Context) (APIVersions, error) {
	oldest, newest, err := c.versionRange(ctx)
	if err != nil {
		return APIVersions{}, err
	}
	used := c.API.ClientVersion()
	if oldest != "" && versions.LessThan(used, oldest) {
		return APIVersions{}, c.tooOld("the client speaks API "+used, "use a nestprobe that is as new as the engine", oldest, newest)
	}
	return APIVersions{oldest, newest, used}, nil
}
