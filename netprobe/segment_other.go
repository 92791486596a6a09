//go:build !linux

package netprobe

import (
	"net"
	"syscall"
)

// CanLimitSegments says whether Options.MaxSegment has an effect on this system.
func CanLimitSegments() bool { return false }

func limitSegments(int) func(network, address string, c syscall.RawConn) error { return nil }

func pathMTU(net.Conn) int { return 0 }
