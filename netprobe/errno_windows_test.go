package netprobe

import (
	"net"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/windows"
)

// TestConnectFailure: Winsock's numbers, wrapped as package net wraps them.
func TestConnectFailure(t *testing.T) {
	t.Parallel()
	for errno, want := range map[syscall.Errno]Failure{
		windows.WSAECONNREFUSED:           Refused,
		windows.WSAECONNRESET:             Reset,
		windows.WSAECONNABORTED:           Reset,
		windows.WSAETIMEDOUT:              ConnectTimeout,
		windows.ERROR_SEM_TIMEOUT:         ConnectTimeout,
		windows.WSAEHOSTUNREACH:           Unreachable,
		windows.WSAENETUNREACH:            Unreachable,
		windows.WSAEHOSTDOWN:              Unreachable,
		windows.WSAENETDOWN:               Unreachable,
		windows.WSAEACCES:                 Unreachable,
		windows.WSAEADDRNOTAVAIL:          Unreachable,
		windows.WSAEAFNOSUPPORT:           Unreachable,
		windows.WSAEPROTONOSUPPORT:        Unreachable,
		windows.WSAEINVAL:                 Unreachable,
		windows.ERROR_NETWORK_UNREACHABLE: Unreachable,
		windows.ERROR_HOST_UNREACHABLE:    Unreachable,
		windows.WSAEMFILE:                 NotProbed,
		windows.WSAENOBUFS:                NotProbed,
	} {
		err := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connectex", errno)}
		if got := ConnectFailure(err); got != want {
			t.Errorf("%v: %q, want %q", errno, got, want)
		}
		if reason := UnreachableReason(err); (reason != "") != (want == Unreachable) {
			t.Errorf("%v: the reason for being unreachable is %q", errno, reason)
		}
	}
}

// TestTimeoutErrno: the numbers with which Windows reports a timeout, and no others.
func TestTimeoutErrno(t *testing.T) {
	t.Parallel()
	for errno, want := range map[syscall.Errno]bool{
		windows.WSAETIMEDOUT:      true,
		windows.ERROR_SEM_TIMEOUT: true,
		windows.WSAECONNREFUSED:   false,
		syscall.ETIMEDOUT:         false, // made up by Go, never returned by Windows
	} {
		if got := timedOut(errno); got != want {
			t.Errorf("%v: %t, want %t", errno, got, want)
		}
	}
}
