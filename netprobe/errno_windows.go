package netprobe

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// connectErrno says what an error number of a connection attempt means; "" if
// unreachableErrno knows it, or if it says nothing about the address. Winsock's numbers
// differ from those that the names of package syscall stand for on Windows.
func connectErrno(errno syscall.Errno) Failure {
	switch errno {
	case windows.WSAECONNREFUSED:
		return Refused
	case windows.WSAECONNRESET, windows.WSAECONNABORTED:
		return Reset
	case windows.WSAETIMEDOUT, windows.ERROR_SEM_TIMEOUT:
		return ConnectTimeout
	}
	return ""
}

// unreachableErrno says in a few words why the system cannot send packets to an
// address; "" if the error number is of something else.
func unreachableErrno(errno syscall.Errno) string {
	switch errno {
	case windows.WSAEHOSTUNREACH, windows.WSAEHOSTDOWN, windows.ERROR_HOST_UNREACHABLE:
		return "host unreachable"
	case windows.WSAENETUNREACH, windows.WSAENETDOWN, windows.ERROR_NETWORK_UNREACHABLE:
		return "network unreachable"
	case windows.WSAEACCES:
		return "forbidden by a firewall"
	case windows.WSAEADDRNOTAVAIL:
		return "address not available" // 0.0.0.0, or no local address of the family
	case windows.WSAEAFNOSUPPORT, windows.WSAEPROTONOSUPPORT:
		return "address family not available"
	case windows.WSAEINVAL:
		return "invalid address"
	}
	return ""
}

// notSentErrno says whether the error number is of a system that has no route to an address
// or no address of its own for it.
func notSentErrno(errno syscall.Errno) bool {
	switch errno {
	case windows.WSAENETUNREACH, windows.WSAENETDOWN, windows.ERROR_NETWORK_UNREACHABLE, windows.WSAEADDRNOTAVAIL, windows.WSAEAFNOSUPPORT, windows.WSAEPROTONOSUPPORT, windows.WSAEINVAL:
		return true
	}
	return false
}
