package netprobe

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// CanLimitSegments says whether [LimitSegments] has an effect on this system.
func CanLimitSegments() bool { return true }

// LimitSegments returns an [Options.Control] that makes the kernel announce to the other
// side, when it connects, how long its TCP segments may be, in bytes (tcp(7), TCP_MAXSEG).
// It is nil, which has no effect, for 0 and where [CanLimitSegments] returns false.
func LimitSegments(bytes int) func(network, address string, c syscall.RawConn) error {
	if bytes == 0 {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		if controlErr := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, bytes)
		}); controlErr != nil {
			return controlErr
		}
		return err
	}
}

// pathMTU is the path MTU that the kernel has for a connection (tcp(7), TCP_INFO),
// or 0 if it does not report one.
func pathMTU(conn net.Conn) int {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	mtu := 0
	_ = raw.Control(func(fd uintptr) { // fails only on a closed connection
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			mtu = int(info.Pmtu)
		}
	})
	return mtu
}
