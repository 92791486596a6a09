package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

func isContainerAddress(kind report.Kind) bool {
	return kind == report.KindContainerIP || kind == report.KindDindHost
}

// fromMachine returns the server's network to which a row from this machine leads.
func (c *vantageCase) fromMachine(r row) (facts.Network, bool) {
	if c.vantage.Container || !isContainerAddress(r.Kind) || closed(r.Failure) {
		return facts.Network{}, false
	}
	return c.Server.NetworkWith(r.to.ip)
}

// droppedWithin returns the network of both containers on which packets were dropped.
func (c *vantageCase) droppedWithin(r row) (facts.Network, bool) {
	if !c.vantage.Container || !dropped(r.Failure) {
		return facts.Network{}, false
	}
	shared := c.vantage.SharedNetworks(c.Server)
	if r.Kind == report.KindContainerName && len(shared) > 0 {
		return shared[0], true // where the name was found
	}
	n, ok := c.Server.NetworkWith(r.to.ip)
	return n, ok && isContainerAddress(r.Kind) && c.isOn(n)
}

// droppedBetween returns the server's network to which packets from a container on
// other networks were dropped.
func (c *vantageCase) droppedBetween(r row) (facts.Network, bool) {
	if !c.vantage.Container || !dropped(r.Failure) || !isContainerAddress(r.Kind) || c.notExpected(r) {
		return facts.Network{}, false
	}
	n, ok := c.Server.NetworkWith(r.to.ip)
	return n, ok && !c.isOn(n)
}

// notExpected says whether an address cannot work from the vantage, and is none that a
// client there would use: that it fails is no fault.
func (c *vantageCase) notExpected(r row) bool {
	if !c.vantage.Container { // few machines have such a name themselves
		return aliasNotFound(r)
	}
	n, own := c.Server.NetworkWith(r.to.ip)
	switch {
	case own && isContainerAddress(r.Kind): // of a network that the vantage is not on, but it is on another one
		return !c.isOn(n) && len(c.vantage.SharedNetworks(c.Server)) > 0
	case r.Kind == report.KindPublishedGateway || r.Kind == report.KindHostGateway:
		return c.isInternalGateway(r.to.ip) || c.vantage.LacksFamily(r.to.ip)
	default:
		return c.vantage.LacksFamily(r.to.ip) && isPublished(r.Kind) && c.publishedForIPv4() || aliasNotFound(r) && c.hasAlias()
	}
}

// isInternalGateway says whether an address is the gateway of an internal network, which
// the engine keeps to itself, while the vantage has another network.
func (c *vantageCase) isInternalGateway(ip netip.Addr) bool {
	isGateway := func(n facts.Network) bool { return n.Internal && (n.GatewayIPv4 == ip || n.GatewayIPv6 == ip) }
	all := slices.Concat(c.vantage.Networks, c.Server.Networks)
	return slices.ContainsFunc(all, isGateway) && !c.vantage.OnlyInternal()
}

func (c *vantageCase) isOn(n facts.Network) bool {
	return slices.ContainsFunc(c.vantage.Networks, func(own facts.Network) bool { return own.Name == n.Name })
}

// respondsOn says whether anything came back from one of the server's addresses on a
// network.
func (c *vantageCase) respondsOn(n facts.Network) bool {
	return slices.ContainsFunc(c.rows, func(r row) bool {
		return r.Kind == report.KindContainerIP && n.Has(r.to.ip) && !dropped(r.Failure) && r.Failure != netprobe.NotProbed
	})
}

// isolatedFromServer says whether a client without a network in common had its packets
// to the server's own address dropped.
func (c *vantageCase) isolatedFromServer() bool {
	return c.vantage.Container && len(c.vantage.SharedNetworks(c.Server)) == 0 &&
		slices.ContainsFunc(c.rows, func(r row) bool { return r.Kind == report.KindContainerIP && dropped(r.Failure) })
}

// layer2FromMachine returns the macvlan or ipvlan network to which packets from this
// machine were dropped.
func (c *vantageCase) layer2FromMachine(r row) (facts.Network, bool) {
	n, ok := c.fromMachine(r)
	return n, ok && n.Layer2() && dropped(r.Failure) && !c.respondsOn(n)
}

// containerNameNotFound says whether a container looked up the server's name and did
// not find it.
func (c *vantageCase) containerNameNotFound(r row) bool {
	return c.vantage.Container && Unnamed(r.Failure) && (r.Kind == report.KindContainerName || r.Kind == report.KindDindHost)
}

// elsewhere is where the network of a container is, if that is not on the machine
// that probes, or "". An engine in a VM does not always say so; but a bridge on this
// machine would have the network's gateway as its address.
func (c *vantageCase) elsewhere(n facts.Network) string {
	gateway := n.GatewayIPv4
	if !gateway.IsValid() { // it has only IPv6
		gateway = n.GatewayIPv6
	}
	switch {
	case c.vantage.Container:
		return ""
	case c.Engine.NetworksElsewhere():
		return c.Engine.Place()
	case c.vantage.Foreign:
		return "of an engine that does not run this container"
	case n.Driver != "bridge" || !gateway.IsValid() || len(c.vantage.Addresses) == 0 || slices.Contains(c.vantage.Addresses, gateway):
		return ""
	default:
		return fmt.Sprintf("not on this machine: no interface has its gateway %s", gateway)
	}
}

// remoteGateway returns the network of which a row's address is the gateway, and
// where it is, if that is not on this machine.
func (c *vantageCase) remoteGateway(r row) (n facts.Network, place string, ok bool) {
	if r.Kind != report.KindPublishedGateway {
		return facts.Network{}, "", false
	}
	for _, n := range c.Server.Networks {
		if place := c.elsewhere(n); place != "" && (r.to.ip == n.GatewayIPv4 || r.to.ip == n.GatewayIPv6) {
			return n, place, true
		}
	}
	return facts.Network{}, "", false
}

// noCommonNetwork says that the vantage is not on a network of the server.
func (c *vantageCase) noCommonNetwork() string {
	return c.vantage.Place() + " has no network in common with the server"
}

// notCommon is the fault of a server's network that the vantage is not on, with what
// follows from that.
func (c *vantageCase) notCommon(n facts.Network, consequence string, args ...any) *report.Fault {
	fault := &report.Fault{Evidence: []string{c.noCommonNetwork()}, Hint: connectBoth + c.orPublished(), Commands: c.connectCommands(c.networkToJoin(n))}
	also(fault, consequence, args...)
	return fault
}

// orPublished adds to a hint the published port as another way, if it was seen to work from
// the vantage.
func (c *vantageCase) orPublished() string {
	if slices.ContainsFunc(c.rows, func(r row) bool { return r.OK && isPublished(r.Kind) }) {
		return ", or use the published port"
	}
	return ""
}

// networkToJoin returns the server's network on which a client reaches it by name and
// which is not internal, or n if it has none.
func (c *vantageCase) networkToJoin(n facts.Network) facts.Network {
	i := slices.IndexFunc(c.Server.Networks, func(own facts.Network) bool {
		return !own.Internal && !own.Default && !own.Layer2() && !own.ICCDisabled
	})
	if i < 0 {
		return n
	}
	return c.Server.Networks[i]
}

const (
	connectBoth   = "connect both to one network"
	createNetwork = "docker network create NETWORK"
)

// connectCommands give both a network in common. The default bridge is not suggested,
// since it has no names.
func (c *vantageCase) connectCommands(n facts.Network) []string {
	if n.Default {
		return c.newNetworkCommands()
	}
	return command("docker network connect %s %s", n.Name, c.clientName())
}

// newNetworkCommands connect server and client to a new network. A client on the network of
// the engine's host cannot be connected to one.
func (c *vantageCase) newNetworkCommands() []string {
	server := networkCommand(c.Server, "NETWORK")
	client := shell.Line("docker network connect NETWORK %s", c.clientName())
	if !c.vantage.Container || c.vantage.OnHost || client == server {
		return []string{createNetwork, server}
	}
	return []string{createNetwork, server, client}
}

// clientName is the name of the container that the probes come from, for a command on its
// networks: the engine refuses one that shares the network of another container.
func (c *vantageCase) clientName() string {
	if c.vantage.NetworkOf != "" {
		return c.vantage.NetworkOf
	}
	if name, ok := strings.CutPrefix(c.vantage.Name, "container:"); ok {
		return name
	}
	return "CONTAINER"
}
