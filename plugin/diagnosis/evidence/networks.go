package evidence

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// IsContainerAddress says whether the address is the container's own.
func IsContainerAddress(kind report.Kind) bool {
	return kind == report.KindContainerIP || kind == report.KindDindHost
}

// FromMachine returns the server's network to which a row from this machine leads.
func (c *Case) FromMachine(r Row) (facts.Network, bool) {
	if c.Vantage.Container || !IsContainerAddress(r.Kind) || Closed(r.Failure) {
		return facts.Network{}, false
	}
	return c.Server.NetworkWith(r.To.IP)
}

// DroppedWithin returns the network of both containers on which packets were dropped.
func (c *Case) DroppedWithin(r Row) (facts.Network, bool) {
	if !c.Vantage.Container || !Dropped(r.Failure) {
		return facts.Network{}, false
	}
	shared := c.Vantage.SharedNetworks(c.Server)
	if to := AddressesOf(r); r.Kind == report.KindContainerName && len(to) > 0 && !slices.ContainsFunc(to, c.Server.Has) {
		return facts.Network{}, false // the name leads elsewhere
	}
	if r.Kind == report.KindContainerName && len(shared) > 0 {
		return shared[0], true // where the name was found
	}
	n, ok := c.Server.NetworkWith(r.To.IP)
	return n, ok && IsContainerAddress(r.Kind) && c.IsOn(n)
}

// DroppedBetween returns the server's network to which packets from a container on
// other networks were dropped.
func (c *Case) DroppedBetween(r Row) (facts.Network, bool) {
	if !c.Vantage.Container || !Dropped(r.Failure) || !IsContainerAddress(r.Kind) || c.NotExpected(r) {
		return facts.Network{}, false
	}
	n, ok := c.Server.NetworkWith(r.To.IP)
	return n, ok && !c.IsOn(n)
}

// NotExpected says whether an address cannot work from the vantage, and is none that a
// client there would use: that it fails is no fault.
func (c *Case) NotExpected(r Row) bool {
	if !c.Vantage.Container { // few machines have such a name themselves
		return AliasNotFound(r)
	}
	n, own := c.Server.NetworkWith(r.To.IP)
	switch {
	case own && IsContainerAddress(r.Kind): // of a network that the vantage is not on, but it is on another one
		return !c.IsOn(n) && len(c.Vantage.SharedNetworks(c.Server)) > 0
	case r.Kind == report.KindPublishedGateway || r.Kind == report.KindHostGateway:
		return c.isInternalGateway(r.To.IP) || c.Vantage.LacksFamily(r.To.IP)
	default:
		return c.Vantage.LacksFamily(r.To.IP) && IsPublished(r.Kind) && c.PublishedForIPv4() || AliasNotFound(r) && c.HasAlias()
	}
}

// isInternalGateway says whether an address is the gateway of an internal network, which
// the engine keeps to itself, while the vantage has another network.
func (c *Case) isInternalGateway(ip netip.Addr) bool {
	isGateway := func(n facts.Network) bool { return n.Internal && (n.GatewayIPv4 == ip || n.GatewayIPv6 == ip) }
	all := slices.Concat(c.Vantage.Networks, c.Server.Networks)
	return slices.ContainsFunc(all, isGateway) && !c.Vantage.OnlyInternal()
}

// IsOn says whether the vantage is on a network.
func (c *Case) IsOn(n facts.Network) bool {
	return slices.ContainsFunc(c.Vantage.Networks, func(own facts.Network) bool { return own.Name == n.Name })
}

// respondsOn says whether anything came back from one of the server's addresses on a
// network.
func (c *Case) respondsOn(n facts.Network) bool {
	return slices.ContainsFunc(c.Rows, func(r Row) bool {
		return r.Kind == report.KindContainerIP && n.Has(r.To.IP) && !Dropped(r.Failure) && r.Failure != netprobe.NotProbed
	})
}

// IsolatedFromServer says whether a client without a network in common had its packets
// to the server's own address dropped.
func (c *Case) IsolatedFromServer() bool {
	return c.Vantage.Container && len(c.Vantage.SharedNetworks(c.Server)) == 0 &&
		slices.ContainsFunc(c.Rows, func(r Row) bool { return r.Kind == report.KindContainerIP && Dropped(r.Failure) })
}

// Layer2FromMachine returns the macvlan or ipvlan network to which packets from this
// machine were dropped.
func (c *Case) Layer2FromMachine(r Row) (facts.Network, bool) {
	n, ok := c.FromMachine(r)
	return n, ok && n.Layer2() && Dropped(r.Failure) && !c.respondsOn(n)
}

// ContainerNameNotFound says whether a container looked up the server's name and did
// not find it.
func (c *Case) ContainerNameNotFound(r Row) bool {
	return c.Vantage.Container && Unnamed(r.Failure) && (r.Kind == report.KindContainerName || r.Kind == report.KindDindHost)
}

// Elsewhere is where the network of a container is, if that is not on the machine
// that probes, or "". An engine in a VM does not always say so; but a bridge on this
// machine would have the network's gateway as its address.
func (c *Case) Elsewhere(n facts.Network) string {
	gateway := n.GatewayIPv4
	if !gateway.IsValid() { // it has only IPv6
		gateway = n.GatewayIPv6
	}
	switch {
	case c.Vantage.Container:
		return ""
	case c.Engine.NetworksElsewhere():
		return c.Engine.Place()
	case c.Vantage.Foreign:
		return "of an engine that does not run this container"
	case n.Driver != "bridge" || !gateway.IsValid() || len(c.Vantage.Addresses) == 0 || slices.Contains(c.Vantage.Addresses, gateway):
		return ""
	default:
		return fmt.Sprintf("not on this machine: no interface has its gateway %s", gateway)
	}
}

// RemoteGateway returns the network of which a row's address is the gateway, and
// where it is, if that is not on this machine.
func (c *Case) RemoteGateway(r Row) (n facts.Network, place string, ok bool) {
	if r.Kind != report.KindPublishedGateway {
		return facts.Network{}, "", false
	}
	for _, n := range c.Server.Networks {
		if place := c.Elsewhere(n); place != "" && (r.To.IP == n.GatewayIPv4 || r.To.IP == n.GatewayIPv6) {
			return n, place, true
		}
	}
	return facts.Network{}, "", false
}

// NoCommonNetwork says that the vantage is not on a network of the server.
func (c *Case) NoCommonNetwork() string {
	return c.Vantage.Place() + " has no network in common with the server"
}
