package facts

import (
	"net/netip"

	"github.com/docker/docker/api/types/network"
)

// Network holds a container's addresses on one network, and the settings of the
// network.
type Network struct {
	Name                     string
	IPv4, IPv6               netip.Addr
	GatewayIPv4, GatewayIPv6 netip.Addr

	Driver      string
	Internal    bool
	Default     bool   // the engine's default bridge, which has no DNS for names of containers
	ICCDisabled bool   // com.docker.network.bridge.enable_icc=false
	GatewayMode string // com.docker.network.bridge.gateway_mode_ipv4; empty for the default, nat
	MTU         int    // bytes; 0 for the engine's default
	Subnets     []netip.Prefix
	Members     map[netip.Addr]string // names of the containers that have an address on it, as the engine lists them
}

// Layer2 says whether containers on the network are directly on the network of a
// parent interface, beside the host's network stack rather than behind it.
func (n Network) Layer2() bool { return n.Driver == "macvlan" || n.Driver == "ipvlan" }

// Has says whether an address is the container's on this network.
func (n Network) Has(ip netip.Addr) bool {
	return ip.IsValid() && (n.IPv4 == ip || n.IPv6 == ip)
}

// membersOf returns the addresses of the containers on a network.
func membersOf(n network.Inspect) map[netip.Addr]string {
	members := map[netip.Addr]string{}
	for _, c := range n.Containers {
		for _, text := range []string{c.IPv4Address, c.IPv6Address} {
			if prefix, err := netip.ParsePrefix(text); err == nil {
				members[prefix.Addr()] = c.Name
			}
		}
	}
	return members
}

// SubnetsOf returns the subnets of a network that can be parsed.
func SubnetsOf(n network.Inspect) []netip.Prefix {
	var subnets []netip.Prefix
	for _, config := range n.IPAM.Config {
		if subnet, err := netip.ParsePrefix(config.Subnet); err == nil {
			subnets = append(subnets, subnet.Masked())
		}
	}
	return subnets
}
