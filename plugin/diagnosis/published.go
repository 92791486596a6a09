package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// published: the way to a port of the engine's host.
func (c *vantageCase) published(to address, row *report.Probe) *report.Fault {
	switch row.Kind {
	case report.KindPublishedLocalhost, report.KindPublishedAny:
		return c.onThisMachine(to, row)
	case report.KindPublishedGateway, report.KindPublishedHostAlias, report.KindPublishedEngineHost:
		return c.onEngineHost(to, row)
	default:
		return nil
	}
}

// onThisMachine: loopback of the machine that asks.
func (c *vantageCase) onThisMachine(to address, row *report.Probe) *report.Fault {
	switch {
	case closed(row):
		return c.forwarder()
	case c.Server.HostNetwork:
		return c.hostMode()
	case c.Engine.Host != "":
		return c.onRemoteHost(to)
	case !coversAddress(c.Server, to):
		return &report.Fault{
			Cause:    PublishedFamilyMismatch,
			Evidence: []string{"the port is published at " + bindings(c.Server)},
			Hint:     fmt.Sprintf("use an address that it is published at: port %d is not published for %s", to.port, to.ip),
		}
	default:
		return nil
	}
}

func coversAddress(s facts.Server, to address) bool {
	ip := to.ip
	if ip == netip.IPv4Unspecified() {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1}) // where the kernel leads it
	}
	return slices.ContainsFunc(s.Bindings, func(b facts.Binding) bool { return b.HostPort == to.port && b.Covers(ip) })
}

// publishes says whether a port of the engine's host leads to the server.
func publishes(s facts.Server, port uint16) bool {
	return slices.ContainsFunc(s.Bindings, func(b facts.Binding) bool { return b.HostPort == port })
}

func (c *vantageCase) onRemoteHost(to address) *report.Fault {
	if c.Server.OnlyOnLoopback(to.port) {
		return c.onLoopback(to)
	}
	return &report.Fault{
		Cause:    PublishedOnRemoteHost,
		Evidence: []string{"the engine is on " + c.Engine.Host + ", and publishes ports there"},
		Hint:     fmt.Sprintf("use %s instead of localhost", c.Engine.Host),
	}
}

func (c *vantageCase) onLoopback(to address) *report.Fault {
	return &report.Fault{
		Cause:    PublishedOnLoopback,
		Evidence: []string{"the port is published at " + bindings(c.Server) + " of the engine's host alone"},
		Hint:     "publish it on every address, or on one that can be reached from " + c.vantage.Place(),
		Commands: []string{fmt.Sprintf("docker run --publish %d:%d ...", to.port, c.Server.Port)},
	}
}

// hostMode: the network of the engine's host is not this machine's.
func (c *vantageCase) hostMode() *report.Fault {
	fault := &report.Fault{
		Cause:    NetworkHostMode,
		Evidence: []string{fmt.Sprintf("container %s has --network host, so --publish is ignored and port %d is one of the engine's host", c.Server.Name, c.Server.Port)},
		Hint:     "leave out --network host and publish the port",
		Commands: []string{fmt.Sprintf("docker run --publish %d ...", c.Server.Port)},
	}
	if c.Engine.NetworksElsewhere() {
		fault.Evidence = append(fault.Evidence, "that network is "+c.Engine.Place())
	}
	return fault
}

// onEngineHost: an address of the engine's host other than this machine's
// loopback.
func (c *vantageCase) onEngineHost(to address, row *report.Probe) *report.Fault {
	switch {
	case closed(row):
		return c.forwarder()
	case c.Server.OnlyOnLoopback(to.port):
		return c.onLoopback(to)
	case c.vantage.OnlyInternal():
		return c.internal(c.vantage.Networks[0])
	case c.Server.HostNetwork:
		return c.hostMode()
	case row.Kind == report.KindPublishedGateway && c.gatewayElsewhere(to) != nil:
		return c.gatewayElsewhere(to)
	case dropped(row) && c.vantage.LacksFamily(to.ip):
		return c.withoutIPv6(to)
	case dropped(row):
		return c.swallowed(to)
	case refused(row) && row.Kind == report.KindPublishedHostAlias, refused(row) && c.Engine.Rootless:
		return c.aliasLeadsElsewhere(to)
	default:
		return nil
	}
}

// gatewayElsewhere: the gateway of a network that is not on this machine.
func (c *vantageCase) gatewayElsewhere(to address) *report.Fault {
	for _, n := range c.Server.Networks {
		place := c.elsewhere(n)
		if place == "" || to.ip != n.GatewayIPv4 && to.ip != n.GatewayIPv6 {
			continue
		}
		return &report.Fault{
			Cause:    ContainerNetworkRemote,
			Evidence: []string{fmt.Sprintf("network %s is %s", n.Name, place)},
			Hint:     "use the published port on localhost or on the engine's host",
		}
	}
	return nil
}

// withoutIPv6: the vantage has no address to ask an IPv6 one from.
func (c *vantageCase) withoutIPv6(to address) *report.Fault {
	return &report.Fault{
		Cause: PublishedFamilyMismatch,
		Evidence: []string{
			"the port is published at " + bindings(c.Server),
			fmt.Sprintf("%s has no IPv6 address to ask %s from", c.vantage.Place(), to.ip),
		},
		Hint: "publish the port for IPv4 too, or give " + c.vantage.Place() + " a network with IPv6",
	}
}

func (c *vantageCase) aliasLeadsElsewhere(to address) *report.Fault {
	fault := &report.Fault{
		Cause:    HostAliasUnreachable,
		Evidence: []string{"the port is published at " + bindings(c.Server) + " of the engine's host, and nothing listens where " + to.host + " leads"},
		Hint:     "use an address of the host's own instead",
	}
	if c.Engine.Rootless {
		fault.Evidence = append(fault.Evidence, "the gateways of a rootless engine are those of its own network namespace, not of the host")
	}
	return fault
}

// swallowed says why nothing came back from a published port: the engine's host sends
// what is for the server elsewhere, or it keeps the networks apart, or else it is
// a firewall. The same port answers elsewhere, or the server is known to listen.
func (c *vantageCase) swallowed(to address) *report.Fault {
	if fault := c.overlapped(); fault != nil {
		return fault
	}
	if c.Engine.Podman && c.vantage.Container && len(c.vantage.SharedNetworks(c.Server)) == 0 && c.droppedAtServer() {
		return c.isolatedByPodman()
	}
	fault := &report.Fault{
		Cause:    FirewallDrops,
		Hint:     "let the firewall of the engine's host accept what comes from its containers' networks to this port",
		Commands: []string{"iptables -S INPUT", "nft list ruleset"},
	}
	if c.vantage.Container && !c.Engine.Podman && len(c.vantage.SharedNetworks(c.Server)) == 0 && c.droppedAtServer() {
		fault.Hint += "; an engine without docker-proxy (dockerd --userland-proxy=false) keeps its bridges apart for published ports too: connect both to one network"
	}
	for _, other := range c.all {
		if other.OK && parse(other.Address).port == to.port && published(other.Kind) {
			fault.Evidence = []string{fmt.Sprintf("the same published port answers from %s at %s", other.Vantage, other.Address)}
			return fault
		}
	}
	if s := c.Server; c.vantage.Container && s.Listeners != nil && len(s.Listeners.On(s.Port)) > 0 && !s.Listeners.OnlyLoopback(s.Port) {
		fault.Evidence = []string{fmt.Sprintf("the port is published at %s, and in the container port %d is listened to at %s", bindings(s), s.Port, join(s.Listeners.On(s.Port)))}
		return fault
	}
	return nil
}

// overlapped: where the engine's networks are this machine's, its routes are those
// of published ports too.
func (c *vantageCase) overlapped() *report.Fault {
	for _, n := range c.Server.Networks {
		if !slices.Contains(c.vantage.Addresses, n.GatewayIPv4) {
			continue // it is on another machine
		}
		if fault := overlap(c.vantage, n, n.IPv4); fault != nil {
			return fault
		}
	}
	return nil
}

// droppedAtServer says whether the server's own address swallowed packets too.
func (c *vantageCase) droppedAtServer() bool {
	return slices.ContainsFunc(c.rows, func(p *report.Probe) bool { return p.Kind == report.KindContainerIP && dropped(p) })
}

// isolatedByPodman: networks that are made through Docker's API get Podman's
// option isolate, whose rules are asked after a published port's address has been
// replaced by the container's (netavark 1.4, NETAVARK_ISOLATION; measured on
// Podman 4.3).
func (c *vantageCase) isolatedByPodman() *report.Fault {
	fault := &report.Fault{
		Cause:    NetworksIsolated,
		Evidence: []string{fmt.Sprintf("%s has no network in common with the server, and Podman keeps such networks apart for published ports too", c.vantage.Place())},
		Hint:     "connect both to one network",
	}
	if len(c.Server.Networks) > 0 {
		fault.Commands = c.connect(c.Server.Networks[0])
	}
	return fault
}

func published(kind report.Kind) bool {
	switch kind {
	case report.KindPublishedLocalhost, report.KindPublishedAny, report.KindPublishedGateway,
		report.KindPublishedHostAlias, report.KindPublishedEngineHost:
		return true
	default:
		return false
	}
}

// forwarder: something accepted and closed, which a port forwarder does when what
// it forwards to refuses.
func (c *vantageCase) forwarder() *report.Fault {
	if c.Server.HostNetwork || c.Server.Serves() {
		return nil // the server itself closes
	}
	fault := &report.Fault{
		Cause:    ForwarderAcceptsAlone,
		Evidence: []string{"the published port accepts and closes, as a port forwarder does with nothing behind it"},
		Hint:     fmt.Sprintf("see that the server listens on port %d at the address that the engine forwards to", c.Server.Port),
	}
	for _, other := range c.all {
		if other.Kind == report.KindContainerIP && !other.OK && refused(&other) {
			fault.Evidence = append(fault.Evidence, fmt.Sprintf("from %s: the container's own address %s refuses", other.Vantage, other.Address))
		}
	}
	if unserved := c.Server.Unserved(); len(unserved) > 0 {
		fault.Evidence = append(fault.Evidence, partly(c.Server, unserved))
		fault.Hint = listenEverywhere
	}
	return fault
}
