//go:build !linux

package facts

import "net/netip"

// Routes returns none: routes are read only on Linux. Elsewhere engines run in a VM, and
// this machine has no routes to their containers.
func Routes([]Network) []Route { return nil }

// RoutedSubnets returns none, for the same reason: the subnets of a VM hide nothing on
// this machine.
func RoutedSubnets() []netip.Prefix { return nil }
