//go:build unix

package netprobe

import "syscall"

// connectErrno says what an error number of a connection attempt means; "" if
// unreachableErrno knows it, or if it says nothing about the address.
func connectErrno(errno syscall.Errno) Failure {
	switch errno {
	case syscall.ECONNREFUSED:
		return Refused
	case syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE:
		return Reset
	case syscall.ETIMEDOUT:
		return ConnectTimeout
	}
	return ""
}

// unreachableErrno says in a few words why the system cannot send packets to an
// address; "" if the error number is of something else.
func unreachableErrno(errno syscall.Errno) string {
	switch errno {
	case syscall.EHOSTUNREACH, syscall.EHOSTDOWN:
		return "host unreachable"
	case syscall.ENETUNREACH, syscall.ENETDOWN:
		return "network unreachable"
	case syscall.EACCES, syscall.EPERM:
		return "forbidden by a route or a firewall"
	case syscall.EINVAL:
		return "blackhole route or invalid address" // the former on Linux
	case syscall.EADDRNOTAVAIL:
		return "address not available" // no local address of the family, or no free port
	case syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT, syscall.ENODEV, syscall.ENXIO:
		return "address family or interface not available"
	}
	return ""
}

// notSentErrno says whether the error number is of a system that has no route to an address
// or no address of its own for it. A firewall on the way that says "network unreachable" looks
// the same; those in use say "host unreachable" or "port unreachable".
func notSentErrno(errno syscall.Errno) bool {
	switch errno {
	case syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EINVAL, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT, syscall.ENODEV, syscall.ENXIO:
		return true
	}
	return false
}
