//go:build unix

package netprobe

import "syscall"

// connectErrno says what an error number of a connection attempt means; "" if it
// says nothing about the address.
func connectErrno(errno syscall.Errno) Failure {
	switch errno {
	case syscall.ECONNREFUSED:
		return Refused
	case syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE:
		return Reset
	case syscall.ETIMEDOUT:
		return ConnectTimeout
	case syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN,
		syscall.EACCES, syscall.EPERM, // a prohibit route, a local firewall rule
		syscall.EINVAL,        // a blackhole route on Linux
		syscall.EADDRNOTAVAIL, // no local address of the family
		syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT, syscall.ENODEV, syscall.ENXIO:
		return Unreachable
	}
	return ""
}

// timedOutErrno reports whether the kernel gave up waiting on a connection.
func timedOutErrno(errno syscall.Errno) bool {
	return errno == syscall.ETIMEDOUT
}
