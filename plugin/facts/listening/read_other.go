//go:build !linux

package listening

import "net/netip"

// Read always fails.
func Read() (Listeners, error) { return Listeners{}, ErrUnsupported }

// ReadOwn always fails.
func ReadOwn() (Listeners, error) { return Listeners{}, ErrUnsupported }

// Owner never knows it.
func Owner(netip.AddrPort) (name string, pid int) { return "", 0 }

func (Process) sockets() (Listeners, error) { return Listeners{}, ErrUnsupported }

func (Process) readTraffic(uint16, func(Connection) bool) (Traffic, error) {
	return Traffic{}, ErrUnsupported
}

// readTraffic always fails.
func readTraffic(uint16, func(Connection) bool) (Traffic, error) { return Traffic{}, ErrUnsupported }
