//go:build unix

package netprobe_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// TestConnectFailure: error numbers, wrapped as package net wraps them.
func TestConnectFailure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err    error
		want   netprobe.Failure
		reason string
	}{
		{syscall.ECONNREFUSED, netprobe.Refused, ""},
		{syscall.ECONNRESET, netprobe.Reset, ""},
		{syscall.EPIPE, netprobe.Reset, ""},
		{syscall.ETIMEDOUT, netprobe.ConnectTimeout, ""},
		{os.ErrDeadlineExceeded, netprobe.ConnectTimeout, ""},
		{context.DeadlineExceeded, netprobe.ConnectTimeout, ""},
		{syscall.EHOSTUNREACH, netprobe.Unreachable, "host unreachable"},
		{syscall.ENETUNREACH, netprobe.Unreachable, "network unreachable"},
		{syscall.EACCES, netprobe.Unreachable, "forbidden by a route or a firewall"},
		{syscall.EPERM, netprobe.Unreachable, "forbidden by a route or a firewall"},
		{syscall.EINVAL, netprobe.Unreachable, "blackhole route or invalid address"},
		{syscall.EADDRNOTAVAIL, netprobe.Unreachable, "address not available"},
		{syscall.EAFNOSUPPORT, netprobe.Unreachable, "address family or interface not available"},
		{syscall.EMFILE, netprobe.NotProbed, ""},
		{context.Canceled, netprobe.NotProbed, ""},
		{errors.New("other"), netprobe.NotProbed, ""},
	} {
		err := fmt.Errorf("ping: %w", &net.OpError{Op: "dial", Net: "tcp", Err: test.err})
		if got := netprobe.ConnectFailure(err); got != test.want {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
		if got := netprobe.UnreachableReason(err); got != test.reason {
			t.Errorf("%v: the reason is %q, want %q", test.err, got, test.reason)
		}
	}
}

// TestCertificateFailure: errors as crypto/tls and crypto/x509 return them.
func TestCertificateFailure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want netprobe.Failure
	}{
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "engine.example"}, netprobe.TLSHostnameMismatch},
		{x509.CertificateInvalidError{Reason: x509.Expired}, netprobe.TLSExpired},
		{x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}, netprobe.TLSUntrusted},
		{x509.UnknownAuthorityError{}, netprobe.TLSUntrusted},
		{errors.New("other"), netprobe.TLSUntrusted},
	} {
		err := fmt.Errorf("ping: %w", &tls.CertificateVerificationError{Err: test.err})
		if got := netprobe.CertificateFailure(err); got != test.want {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
	if got := netprobe.CertificateFailure(errors.New("other")); got != "" {
		t.Errorf("an error that is not about a certificate: %q", got)
	}
}
