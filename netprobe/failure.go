package netprobe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"syscall"
)

// Failure is what was observed when a probe did not succeed. The phase reached and
// the type of the error decide it, never an error's text.
type Failure string

// The vocabulary of failures.
const (
	// NameNotFound: the name has no address. This includes a name server that
	// answers with an error or cannot be reached; Detail says which.
	NameNotFound Failure = "name-not-found"
	// NameTimeout: the lookup of the name did not end in time.
	NameTimeout Failure = "name-timeout"

	// Refused: the host answered that nothing listens on the port.
	Refused Failure = "refused"
	// Unreachable: this machine or a router has no route to the address, or forbids
	// it: no route, an unreachable, prohibit or blackhole route, a firewall that
	// rejects, no local address of the family. [UnreachableReason] says which.
	Unreachable Failure = "unreachable"
	// ConnectTimeout: nothing answered the connection attempt. Packets are dropped
	// on the path, or the server's accept queue is full.
	ConnectTimeout Failure = "connect-timeout"
	// Reset: the connection was reset before it was established, as this side saw
	// it. A server that accepts and resets immediately shows as this or, if this
	// side saw the connection in between, as ClosedWithoutResponse.
	Reset Failure = "reset"

	// ClosedWithoutResponse: the connection was established, then closed or reset
	// before a whole response header (TCP: any byte; WebSocket: the echo) came.
	// Whether a close shows as an end or as a reset depends only on timing, so
	// both are one class.
	ClosedWithoutResponse Failure = "closed-without-response"
	// NoResponse: the connection was established, and no whole response header (TCP:
	// no identity; TLS: no handshake; WebSocket: no echo) came in time.
	NoResponse Failure = "no-response"

	// Silent: the connection was established and stayed open, nothing was sent to the
	// server, and nothing came (only TCP). A server that waits for its client does that,
	// and so does a port forwarder with nothing behind it: only someone who sees the
	// server's sockets can tell.
	Silent Failure = "silent"

	// Denied (TCP): the server's first bytes say that it does not serve this client.
	Denied Failure = "denied"

	// TLSUntrusted: the certificate is not signed by a trusted authority, or is not
	// for servers.
	TLSUntrusted Failure = "tls-untrusted"
	// TLSHostnameMismatch: the certificate is for other names.
	TLSHostnameMismatch Failure = "tls-hostname-mismatch"
	// TLSExpired: a certificate is not valid at this time.
	TLSExpired Failure = "tls-expired"
	// TLSOnPlainPort: the server answered the TLS handshake with something else.
	TLSOnPlainPort Failure = "tls-on-plain-port"
	// TLSClosed: the connection was closed or reset during the handshake.
	TLSClosed Failure = "tls-closed"
	// TLSHandshake: the two sides speak TLS and do not agree on a version or a
	// cipher, or a client certificate is missing or not accepted.
	TLSHandshake Failure = "tls-handshake"

	// NotHTTP: what came is not an HTTP response, or its header is too long.
	NotHTTP Failure = "not-http"
	// UnexpectedStatus: the status is not the expected one.
	UnexpectedStatus Failure = "unexpected-status"
	// UnexpectedBody: the body lacks the expected text, or the WebSocket message
	// that came back is not the one that was sent.
	UnexpectedBody Failure = "unexpected-body"
	// TruncatedBody: the connection ended within the body.
	TruncatedBody Failure = "truncated-body"
	// StalledBody: the body did not end in time.
	StalledBody Failure = "stalled-body"
	// WrongServer: the server that answered does not send the expected identity.
	WrongServer Failure = "wrong-server"
	// WebSocketRefused: the server did not switch to WebSocket, or broke its
	// protocol.
	WebSocketRefused Failure = "websocket-refused"

	// Cancelled: the caller cancelled the context before the outcome was known.
	// It says nothing about the address; Err wraps the context's error. If a deadline
	// of the context passes during a probe, that is no cancellation but a bound like
	// Options.Timeout, and shows as the timeout of the phase reached.
	Cancelled Failure = "cancelled"
	// NotProbed: nothing was learnt about the address, because the target is not
	// valid, or this process ran out of a resource (file descriptors, memory).
	NotProbed Failure = "not-probed"
)

// Retryable reports whether a server that is not ready yet may show the
// failure, so that trying again makes sense while it starts.
func (f Failure) Retryable() bool {
	switch f {
	case Refused, // nothing listens yet
		Reset,                 // the listener, or the forwarder before it, was being replaced
		ClosedWithoutResponse, // a port forwarder accepts before the server listens
		TLSClosed,             // the same, seen by a client that speaks TLS
		ConnectTimeout,        // the network is not set up yet, or the accept queue is full at start
		NoResponse:            // the server listens before it serves
		return true
	}
	return false
}

// interrupted reports whether a cancelled context can lead to the failure.
func (f Failure) interrupted() bool {
	return slices.Contains([]Failure{NameTimeout, ConnectTimeout, NoResponse, StalledBody}, f)
}

// ConnectFailure classifies the error of a connection attempt, as package net
// returns it: [Refused], [Reset], [Unreachable] or [ConnectTimeout] by its error
// number, [ConnectTimeout] for any other timeout, [NotProbed] for the rest. The
// error numbers are those of the system that this program runs on.
func ConnectFailure(err error) Failure {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		if f := connectErrno(errno); f != "" {
			return f
		}
		if unreachableErrno(errno) != "" {
			return Unreachable
		}
	}
	if timedOut(err) {
		return ConnectTimeout
	}
	return NotProbed
}

// notSent says whether the error of a connection attempt is that of a system which has sent
// nothing.
func notSent(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && notSentErrno(errno)
}

// UnreachableReason says in a few words why an address is [Unreachable], such as
// "network unreachable" or "address not available". It is "" for an error that
// [ConnectFailure] puts into another class.
func UnreachableReason(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return ""
	}
	return unreachableErrno(errno)
}

// CertificateFailure classifies the error of a TLS handshake in which the server's
// certificate did not verify: [TLSHostnameMismatch], [TLSExpired] or
// [TLSUntrusted]. It is "" for any other error.
func CertificateFailure(err error) Failure {
	var (
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		unknown      x509.UnknownAuthorityError
		verification *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &hostname):
		return TLSHostnameMismatch
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return TLSExpired
	case errors.As(err, &invalid), errors.As(err, &unknown), errors.As(err, &verification):
		return TLSUntrusted
	}
	return ""
}
