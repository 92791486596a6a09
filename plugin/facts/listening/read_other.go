//go:build !linux

package listening

import "net/netip"

// Read always fails.
func Read() (Listeners, error) { return Listeners{}, ErrUnsupported }

// Inodes always fails.
func Inodes(netip.AddrPort) ([]uint64, error) { return nil, ErrUnsupported }

// ReadTraffic always fails.
func ReadTraffic(uint16) (Traffic, error) { return Traffic{}, ErrUnsupported }
