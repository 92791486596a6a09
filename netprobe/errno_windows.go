package netprobe

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// connectErrno says what an error number of a connection attempt means; "" if it
// says nothing about the address. Winsock has numbers of its own, which the
// names of package syscall do not match.
func connectErrno(errno syscall.Errno) Failure {
	switch errno {
	case windows.WSAECONNREFUSED:
		return Refused
	case windows.WSAECONNRESET, windows.WSAECONNABORTED:
		return Reset
	case windows.WSAETIMEDOUT, windows.ERROR_SEM_TIMEOUT:
		return ConnectTimeout
	case windows.WSAEHOSTUNREACH, windows.WSAENETUNREACH, windows.WSAEHOSTDOWN, windows.WSAENETDOWN,
		windows.WSAEACCES,        // a firewall rule
		windows.WSAEADDRNOTAVAIL, // 0.0.0.0, or no local address of the family
		windows.WSAEAFNOSUPPORT, windows.WSAEPROTONOSUPPORT, windows.WSAEINVAL,
		windows.ERROR_NETWORK_UNREACHABLE, windows.ERROR_HOST_UNREACHABLE:
		return Unreachable
	}
	return ""
}

// timedOutErrno reports whether the system gave up waiting on a connection.
func timedOutErrno(errno syscall.Errno) bool {
	return errno == windows.WSAETIMEDOUT || errno == windows.ERROR_SEM_TIMEOUT
}
