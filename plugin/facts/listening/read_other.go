//go:build !linux

package listening

import "net/netip"

// Read always fails.
func Read() (Listeners, error) { return Listeners{}, ErrUnsupported }

// Inodes always fails.
func Inodes(netip.AddrPort) ([]uint64, error) { return nil, ErrUnsupported }

// readTraffic always fails.
func readTraffic(uint16, func(Connection) bool) (Traffic, error) { return Traffic{}, ErrUnsupported }
