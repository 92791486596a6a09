//go:build !linux

package facts

import (
	"net/netip"
)

// routes are read on Linux alone: elsewhere engines run in a VM, and this machine
// has no routes to their containers.
func Routes([]Network) []Route { return nil }

// routedSubnets are not known for the same reason; a VM's subnets hide nothing
// here.
func RoutedSubnets() []netip.Prefix { return nil }
