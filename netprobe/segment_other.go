//go:build !linux

package netprobe

import (
	"net"
	"syscall"
)

// CanLimitSegments says whether [LimitSegments] has an effect on this system.
func CanLimitSegments() bool { return false }

// LimitSegments returns nil: this system cannot limit the segments of a connection.
func LimitSegments(int) func(network, address string, c syscall.RawConn) error { return nil }

func pathMTU(net.Conn) int { return 0 }
