package connection

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"time"
)

// handshake is the result of a TLS handshake for measuring.
type handshake struct {
	spoke   bool                        // the other side answered in TLS
	request *tls.CertificateRequestInfo // set if it requested a client certificate
	sent    bool                        // a client certificate was sent
	peer    []*x509.Certificate
	err     error // of the handshake or, if that succeeded, of the first read after it
}

// acceptAnyPeer is for finding out whether the other side speaks TLS.
func acceptAnyPeer() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true} //nolint:gosec // nothing is sent, and the peer's identity does not matter
}

// repeatHandshake repeats the handshake as docker's client does it, and records
// which certificate the engine requested.
func (c *Connection) repeatHandshake(ctx context.Context) handshake {
	config := c.wire.tls.Clone()
	config.ServerName = c.wire.base.Hostname()
	var request *tls.CertificateRequestInfo
	var sent bool
	config.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		request = info
		for i := range config.Certificates {
			if info.SupportsCertificate(&config.Certificates[i]) == nil {
				sent = true
				return &config.Certificates[i], nil
			}
		}
		return &tls.Certificate{}, nil // as crypto/tls does
	}
	result := c.measureHandshake(ctx, config)
	result.request, result.sent = request, sent
	return result
}

// measureHandshake does a TLS handshake with the endpoint's address and reads a byte.
// It does nothing if there is a proxy, which would see another client than docker's.
func (c *Connection) measureHandshake(ctx context.Context, config *tls.Config) handshake {
	if c.proxy() != nil {
		return handshake{}
	}
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	raw, err := c.wire.dial(ctx, "tcp", c.wire.address())
	if err != nil {
		return handshake{err: err}
	}
	conn := tls.Client(raw, config)
	defer func() { _ = raw.Close() }()
	if err := conn.HandshakeContext(ctx); err != nil {
		_, alerted := Alert(err)
		return handshake{spoke: alerted, err: err}
	}
	result := handshake{spoke: true, peer: conn.ConnectionState().PeerCertificates}
	// An engine that accepts the client now waits for a request. One that does not
	// sends an alert, which no reset can discard, since nothing is written here.
	defer interruptReads(ctx, raw)()
	if _, err := conn.Read(make([]byte, 1)); !isTimeout(err) {
		result.err = err
	}
	return result
}

// acceptable are the names of the CAs that the engine accepts.
func acceptable(request *tls.CertificateRequestInfo) []string {
	var names []string
	for _, der := range request.AcceptableCAs {
		var name pkix.RDNSequence
		if _, err := asn1.Unmarshal(der, &name); err == nil {
			names = append(names, name.String())
		}
	}
	return names
}

// interruptReads ends pending reads of a connection when ctx ends. The caller calls
// stop after the last read.
func interruptReads(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
}
