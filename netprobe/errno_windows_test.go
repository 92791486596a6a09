package netprobe

import (
	"net"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/windows"
)

// TestConnectErrno: Winsock's numbers, wrapped as package net wraps them.
func TestConnectErrno(t *testing.T) {
	t.Parallel()
	for errno, want := range map[syscall.Errno]Failure{
		windows.WSAECONNREFUSED:   Refused,
		windows.WSAECONNRESET:     Reset,
		windows.WSAETIMEDOUT:      ConnectTimeout,
		windows.WSAEHOSTUNREACH:   Unreachable,
		windows.WSAENETUNREACH:    Unreachable,
		windows.WSAEADDRNOTAVAIL:  Unreachable,
		windows.WSAEMFILE:         NotProbed,
		windows.ERROR_SEM_TIMEOUT: ConnectTimeout,
	} {
		err := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connectex", errno)}
		if got := connectFailure(err); got != want {
			t.Errorf("%v: %q, want %q", errno, got, want)
		}
	}
}
