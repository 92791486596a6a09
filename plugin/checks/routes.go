package checks

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// hostNetwork is the routes and interfaces of this machine.
type hostNetwork struct {
	routes     []hostRoute
	interfaces map[netip.Addr]string // names by address
}

// hostRoute is a route of this machine.
type hostRoute struct {
	prefix  netip.Prefix
	device  string // empty for a route that rejects packets
	gateway string
}

func (r hostRoute) String() string {
	switch {
	case r.device == "":
		return fmt.Sprintf("%s, which rejects packets", r.prefix)
	case r.gateway != "":
		return fmt.Sprintf("%s via %s dev %s", r.prefix, r.gateway, r.device)
	default:
		return fmt.Sprintf("%s dev %s", r.prefix, r.device)
	}
}

func (s *state) checkRoutes(context.Context) (checkResult, error) {
	if engine := s.engineFacts(); engine.NetworksElsewhere() {
		return skip("the networks are %s, and the routes there are not known from here", engine.Place())
	}
	host, known, err := readHostNetwork()
	if err != nil {
		return inconclusive("reading this machine's routes: %v", err)
	}
	if !known {
		return skip("routes are read only on Linux")
	}
	return compareRoutes(s.networks, host, s.Docker)
}

// compareRoutes finds routes that conflict with the engine's bridges. It skips a
// network whose gateway is not an address of this machine: it is in a VM, or it
// has no bridge until it has a container.
func compareRoutes(networks []network, host hostNetwork, docker shell.Text) (checkResult, error) {
	var evidence, names []string
	compared := 0
	for _, n := range networks {
		bridge := n.bridge(host)
		if bridge == "" {
			continue
		}
		for _, subnet := range n.subnets {
			compared++
			for _, route := range conflictingRoutes(subnet, bridge, host.routes) {
				evidence = append(evidence, fmt.Sprintf("network %s has %s on interface %s, but this machine also has the route %s", n.name, subnet, bridge, route))
				names = append(names, n.name)
			}
		}
	}
	switch {
	case len(evidence) > 0:
		return warn(overlapFault(evidence, names, freeSubnet(networks, host.routes), docker), "%s", strings.Join(firstLines(evidence), "; "))
	case compared == 0:
		return skip("this machine has no bridge interface of the engine's networks now")
	default:
		return pass("no other route overlaps a subnet (%d compared)", compared)
	}
}

// overlapFault is the fault of networks whose subnets overlap other routes.
func overlapFault(evidence, names []string, free string, docker shell.Text) *report.Fault {
	fault := &report.Fault{Cause: diagnosis.SubnetOverlapsRoute, Evidence: firstLines(evidence)}
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == defaultBridge })
	if len(names) == 0 {
		fault.Hint = `give the default bridge an unused subnet: set "bip" in the engine's daemon.json`
		return fault
	}
	fault.Hint = "create the network again with a subnet that no route of this machine covers: disconnect its containers before, and repeat its driver and options"
	fault.Commands = append(commandOn(docker+" network rm", names[:1]), commandOn(docker+" network create --subnet "+shell.Text(free), names[:1])...)
	return fault
}

// freeSubnet is a private subnet that no route of this machine and no network covers, or
// a word in its place.
func freeSubnet(networks []network, routes []hostRoute) string {
	for _, private := range []string{"10.123.0.0/16", "172.31.0.0/16", "192.168.0.0/16"} {
		base := netip.MustParsePrefix(private).Addr().As4()
		for third := range 256 {
			base[2] = byte(third)
			subnet := netip.PrefixFrom(netip.AddrFrom4(base), 24)
			if !slices.ContainsFunc(routes, func(r hostRoute) bool { return r.prefix.Bits() > 1 && r.prefix.Overlaps(subnet) }) &&
				!slices.ContainsFunc(networks, func(n network) bool { return slices.ContainsFunc(n.subnets, subnet.Overlaps) }) {
				return subnet.String()
			}
		}
	}
	return "SUBNET"
}

// defaultBridge is the name of Docker's default bridge, which cannot be removed.
const defaultBridge = "bridge"

// bridge returns the interface of this machine that has the network's gateway, or
// "" if there is none.
func (n network) bridge(host hostNetwork) string {
	gateways := slices.Clone(n.gateways)
	for _, subnet := range n.subnets { // Docker 20.10 omits the gateway of its default bridge
		gateways = append(gateways, subnet.Addr().Next())
	}
	for _, gateway := range gateways {
		if name := host.interfaces[gateway]; name != "" {
			return name
		}
	}
	return ""
}

// maxDefaultBits is the length of the two prefixes with which a VPN replaces the
// default route (OpenVPN, redirect-gateway def1). As with the default route, any
// other route takes precedence.
const maxDefaultBits = 1

// conflictingRoutes returns the routes that take packets for a part of the subnet,
// or that lead to other machines with its addresses. A wider route that rejects
// packets does neither, since the bridge's own route is narrower.
func conflictingRoutes(subnet netip.Prefix, bridge string, routes []hostRoute) []hostRoute {
	var found []hostRoute
	for _, r := range routes {
		wider := r.prefix.Bits() < subnet.Bits()
		switch {
		case r.device == bridge, r.prefix.Bits() <= maxDefaultBits, !r.prefix.Overlaps(subnet):
		case wider && r.device == "":
		default:
			found = append(found, r)
		}
	}
	return found
}
