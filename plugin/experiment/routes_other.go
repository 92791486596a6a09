//go:build !linux

package experiment

import (
	"net/netip"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
)

// routes are read on Linux alone: elsewhere engines run in a VM, and this machine
// has no routes to their containers.
func routes([]NetworkFacts) []diagnosis.Route { return nil }

// routedSubnets are not known for the same reason; a VM's subnets hide nothing
// here.
func routedSubnets() []netip.Prefix { return nil }
