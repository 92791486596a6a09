package checks

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// hostNetwork is this machine's own network.
type hostNetwork struct {
	routes     []hostRoute
	interfaces map[netip.Addr]string // by their addresses
}

// hostRoute is a route of this machine.
type hostRoute struct {
	prefix  netip.Prefix
	device  string // empty for a route that only refuses
	gateway string
}

func (r hostRoute) String() string {
	switch {
	case r.device == "":
		return fmt.Sprintf("%s, which is refused", r.prefix)
	case r.gateway != "":
		return fmt.Sprintf("%s via %s dev %s", r.prefix, r.gateway, r.device)
	default:
		return fmt.Sprintf("%s dev %s", r.prefix, r.device)
	}
}

func (s *state) lookAtRoutes(context.Context) (outcome, error) {
	if where := s.elsewhere(); where != "" {
		return skip("the networks are %s, whose routes are not known from here", where)
	}
	host, known, err := readHostNetwork()
	if err != nil {
		return undecided("this machine's routes: %v", err)
	}
	if !known {
		return skip("this machine's routes are read on Linux alone")
	}
	return judgeRoutes(s.networks, host, s.Docker)
}

// judgeRoutes looks for routes beside those of the engine's bridges. Networks
// whose gateway is no address of this machine's are in a VM, or have no bridge
// until a container needs it.
func judgeRoutes(networks []network, host hostNetwork, docker string) (outcome, error) {
	var evidence, names []string
	looked := 0
	for _, n := range networks {
		bridge := n.bridge(host)
		if bridge == "" {
			continue
		}
		for _, subnet := range n.subnets {
			looked++
			for _, route := range rivals(subnet, bridge, host.routes) {
				evidence = append(evidence, fmt.Sprintf("network %s has %s on interface %s, and this machine has the route %s", n.name, subnet, bridge, route))
				names = append(names, n.name)
			}
		}
	}
	switch {
	case len(evidence) > 0:
		return warn(overlap(evidence, names, docker), "%s", strings.Join(some(evidence), "; "))
	case looked == 0:
		return skip("no bridge of the engine's networks is on this machine now")
	default:
		return pass("no other route covers a subnet (%d looked at)", looked)
	}
}

// overlap is the fault of networks that other routes overlap with.
func overlap(evidence, names []string, docker string) *report.Fault {
	fault := &report.Fault{Cause: diagnosis.SubnetOverlapsRoute, Evidence: some(evidence)}
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == defaultBridge })
	if len(names) == 0 {
		fault.Hint = `give the default bridge a range that nobody uses, by "bip" in the engine's daemon.json`
		return fault
	}
	fault.Commands = append(command(docker+" network rm", names[:1]), command(docker+" network create --subnet 10.123.0.0/24", names[:1])...)
	return fault
}

// defaultBridge cannot be made anew.
const defaultBridge = "bridge"

// bridge is the interface of this machine that has the network's gateway; empty
// for none.
func (n network) bridge(host hostNetwork) string {
	gateways := n.gateways
	for _, subnet := range n.subnets { // 20.10 does not name that of its default bridge
		gateways = append(gateways[:len(gateways):len(gateways)], subnet.Addr().Next())
	}
	for _, gateway := range gateways {
		if name := host.interfaces[gateway]; name != "" {
			return name
		}
	}
	return ""
}

// halfOfAll is the length of the two prefixes by which VPNs stand in for the
// default route (OpenVPN, redirect-gateway def1). As that one they cover
// everything, and are asked last.
const halfOfAll = 1

// rivals are the routes that take packets for a part of the subnet, or that lead
// to other machines with its addresses. A wider route that only refuses does
// neither: the bridge's own is narrower.
func rivals(subnet netip.Prefix, bridge string, routes []hostRoute) []hostRoute {
	var found []hostRoute
	for _, r := range routes {
		wider := r.prefix.Bits() < subnet.Bits()
		switch {
		case r.device == bridge, r.prefix.Bits() <= halfOfAll, !r.prefix.Overlaps(subnet):
		case wider && r.device == "":
		default:
			found = append(found, r)
		}
	}
	return found
}
