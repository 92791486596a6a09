package netprobe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"time"
)

// secure does the TLS handshake on a new connection if the scheme needs TLS, and
// watches the connection. It closes conn if the handshake fails.
func (p *prober) secure(ctx context.Context, conn net.Conn) (*wire, *setback) {
	if !p.target.secured() {
		p.enter(PhaseRequest)
		return p.watch(ctx, conn), nil
	}
	p.enter(PhaseTLS)
	client := tls.Client(conn, p.tlsConfig())
	w := p.watch(ctx, client)
	// The wire has the deadline and follows the context, so that the handshake need
	// not start a goroutine for that.
	if err := client.HandshakeContext(context.WithoutCancel(ctx)); err != nil {
		w.close()
		return nil, p.tlsSetback(err)
	}
	w.opened = time.Now()
	p.result.TLS = describeTLS(client.ConnectionState())
	p.enter(PhaseRequest)
	return w, nil
}

// tlsConfig is the caller's configuration, completed.
func (p *prober) tlsConfig() *tls.Config {
	config := p.opts.TLS.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = strings.Cut(p.host, "%") // a certificate knows no zones
	}
	if p.target.scheme() == H2 {
		config.NextProtos = []string{"h2"}
	}
	return config
}

// shownNames is how many names of a certificate are shown.
const shownNames = 8

// describeTLS describes a TLS connection in words: the version of the protocol, whose
// certificate the server has shown, and the names in it.
func describeTLS(state tls.ConnectionState) string {
	text := tls.VersionName(state.Version)
	if len(state.PeerCertificates) > 0 {
		leaf := state.PeerCertificates[0]
		names := slices.Clone(leaf.DNSNames)
		for _, ip := range leaf.IPAddresses {
			names = append(names, ip.String())
		}
		text += ", certificate of " + cmp.Or(leaf.Subject.CommonName, "an unnamed subject")
		if len(names) > 0 {
			text += " for " + strings.Join(names[:min(len(names), shownNames)], ", ")
		}
	}
	return Visible(text, DetailLimit)
}

func (p *prober) tlsSetback(err error) *setback {
	var header tls.RecordHeaderError
	switch {
	case timedOut(err):
		return &setback{NoResponse, "connection accepted, no answer to the TLS handshake within " + p.waited(), err}
	case isHangUp(err):
		return &setback{TLSClosed, "connection accepted, then closed during the TLS handshake", err}
	case errors.As(err, &header) && !isTLS(header.RecordHeader[:]):
		return &setback{TLSOnPlainPort, "the server does not speak TLS: its answer begins with " +
			quote(header.RecordHeader[:]), err}
	}
	failure := CertificateFailure(err)
	if failure == "" {
		failure = TLSHandshake
	}
	return &setback{failure, "TLS handshake: " + err.Error(), err}
}

// isTLS reports whether b begins like a TLS record (RFC 8446, section 5.1): a
// content type from change_cipher_spec to heartbeat, then major version 3.
func isTLS(b []byte) bool {
	return len(b) >= 2 && b[0] >= 20 && b[0] <= 24 && b[1] == 3
}

// isAlert reports whether the peer ended TLS with an alert. crypto/tls has no type
// for that, only a name of the operation.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}
