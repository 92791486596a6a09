package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var FirewallDrops = define("firewall-drops", networkSetting, definition{
	title:    "A firewall drops or rejects packets between these endpoints",
	commands: []string{"sudo iptables -S INPUT", "sudo nft list ruleset"},
	explains: []report.Cause{DirectRoutingBlocked, ForwarderAcceptsAlone},
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		fault := &report.Fault{}
		switch {
		case c.filteredFromMachine(r):
			fault.Evidence = c.listensInContainer(r)
			fault.Hint = "have the firewall of this machine accept packets that it sends to its containers' networks, such as in the settings of a VPN or its kill switch; if the container has a firewall of its own, have that accept them"
			fault.Commands = []string{"sudo iptables -S OUTPUT", "sudo nft list ruleset"}
		case c.rejected(r) && !c.Server.Host:
			fault.Evidence = c.listensInContainer(r)
			fault.Hint = "have the firewall between them, or one in the container of the client or the server, accept packets to this port: the refusal does not come from the server"
			fault.Commands = []string{"sudo iptables -S FORWARD", "sudo nft list ruleset"}
		case c.hostModeFiltered(r):
			fault.Evidence = []string{"on the host, " + evidence.ListenersOn(c.Server)}
			suggest(fault, "have the host's firewall accept packets from the containers' networks to port %d", c.Server.Port)
		case c.DroppedAtEngineHost(r) && !c.isolatedByPodman() && c.reachedFromItsNetwork(r) == nil:
			fault.Evidence = c.publishedElsewhere(r)
			fault.Hint = "have the firewall of the engine's host accept packets from its containers' networks to this port"
			if c.IsolatedFromServer() && !c.Engine.Podman {
				fault.Hint += "; an engine without docker-proxy (dockerd --userland-proxy=false) isolates its bridges for published ports too: connect both to one network"
			}
		case c.filteredWithin(r):
			fault.Evidence = c.listensInContainer(r)
			fault.Hint = "have the firewall of the engine's host forward packets on the network's bridge, and firewalls in the two containers accept them; if a reload of the firewall has removed the engine's rules, restart the engine"
			fault.Commands = []string{"sudo iptables -S FORWARD", "sudo iptables -S DOCKER-USER", "sudo nft list ruleset"}
		case c.ToServerOnHost(r) && !r.NotSent && (evidence.Dropped(r.Failure) && !c.Vantage.LacksFamily(r.To.IP) || c.rejected(r)):
			fault.Evidence = c.listensOnHost(r)
			suggest(fault, "have the host's firewall accept packets from the containers' networks to port %d", c.Server.Port)
		}
		if len(fault.Evidence) == 0 {
			return nil
		}
		return fault
	},
})

// filteredFromMachine says whether packets from this machine to the container are
// filtered: to its own address, or those of a port forwarder on this machine, which
// accepts in the server's place.
func (c *vantageCase) filteredFromMachine(r evidence.Row) bool {
	if c.Vantage.Container || c.Vantage.Foreign || c.Engine.NetworksElsewhere() || c.Server.HostNetwork || !c.Server.Serves() || c.MachineReaches() || c.Unanswered() {
		return false
	}
	n, own := c.FromMachine(r)
	switch {
	case own:
		filtered := evidence.Dropped(r.Failure) && !r.NotSent && !c.Vantage.LacksFamily(r.To.IP) && c.Served(r) || evidence.Refused(r.Failure)
		return filtered && n.Driver == "bridge" && c.Elsewhere(n) == "" && !n.Internal
	default:
		return evidence.IsPublished(r.Kind) && c.AcceptedInVain(r) && c.Server.PublishedAt(r.To.IP, r.To.Port) && !c.isOutOfReach()
	}
}

// isOutOfReach says whether this machine is known not to reach the server's container for a
// reason that is no firewall: it has no route, or the container does not have its address.
func (c *vantageCase) isOutOfReach() bool {
	lost := func(n facts.Network) bool { return c.LostAddress(n.IPv4) }
	return slices.ContainsFunc(c.Server.Networks, lost) || slices.ContainsFunc(c.Rows, func(r evidence.Row) bool { return r.Kind == report.KindContainerIP && r.NotSent })
}

// filteredWithin says whether packets on a network that both are on were dropped or rejected,
// though the server listens there and the network lets its containers reach each other.
func (c *vantageCase) filteredWithin(r evidence.Row) bool {
	n, ok := c.DroppedWithin(r)
	return ok && !r.NotSent && n.Driver == "bridge" && !n.ICCDisabled && c.Served(r) && !c.Unanswered() && !c.Vantage.LacksFamily(r.To.IP)
}

// hostModeFiltered says whether packets from a container to a server that shares the network of
// the engine's host were dropped or rejected, though it listens for them.
func (c *vantageCase) hostModeFiltered(r evidence.Row) bool {
	s := c.Server
	return s.HostNetwork && !s.Host && c.Vantage.Container && !c.Engine.NetworksElsewhere() && !c.Vantage.OnlyInternal() &&
		c.ToEngineHost(r) && (evidence.Dropped(r.Failure) && !r.NotSent && !c.Vantage.LacksFamily(r.To.IP) || evidence.Refused(r.Failure)) && c.Served(r)
}

// rejected says whether an address refuses a connection although the server listens
// there. The listeners were read after the probes, and what refused was probed again. The
// addresses of a rootless engine's or a VM's host are not those that containers see.
func (c *vantageCase) rejected(r evidence.Row) bool {
	direct := evidence.IsContainerAddress(r.Kind) || c.ToServerOnHost(r)
	return direct && evidence.Refused(r.Failure) && !c.Engine.Rootless && !c.Engine.Desktop && c.Served(r) &&
		(!c.Server.Host || !c.leadsToOtherMachine(r))
}

// leadsToOtherMachine says whether an address of a row is known to be none of the
// engine's host.
func (c *vantageCase) leadsToOtherMachine(r evidence.Row) bool {
	_, other := c.OnAnotherHost(r)
	return other
}

// listensInContainer shows that the server listens at the address to which a row leads.
func (c *vantageCase) listensInContainer(r evidence.Row) []string {
	lines := []string{"in the container, " + evidence.ListenersOn(c.Server)}
	if c.AcceptedInVain(r) {
		lines = append(lines, fmt.Sprintf("%s accepts the connection, but it does not arrive at the server", r.Address))
	}
	return lines
}

// publishedElsewhere shows that the published port works from somewhere, or that the
// server listens.
func (c *vantageCase) publishedElsewhere(r evidence.Row) []string {
	for _, other := range c.AllProbes {
		if other.OK && evidence.ParseAddress(other.Address).Port == r.To.Port && evidence.IsPublished(other.Kind) {
			return []string{fmt.Sprintf("the same published port answers from %s at %s", other.Vantage, other.Address)}
		}
	}
	if s := c.Server; c.Vantage.Container && s.ListensOutsideLoopback() {
		return []string{fmt.Sprintf("%s, and in the container %s", evidence.PublishedAt(s), evidence.ListenersOn(s))}
	}
	return nil
}

// listensOnHost shows that the server on the host listens, or answers elsewhere.
func (c *vantageCase) listensOnHost(r evidence.Row) []string {
	var lines []string
	if c.Server.ListensOutsideLoopback() && c.servesFamily(r) {
		lines = append(lines, "on the host, "+evidence.ListenersOn(c.Server))
	}
	for _, other := range c.AllProbes {
		if other.OK && other.Vantage != r.Vantage {
			lines = append(lines, fmt.Sprintf("it answers from %s at %s", other.Vantage, other.Address))
		}
	}
	return lines
}

// servesFamily says whether the server listens for the address family of a row.
func (c *vantageCase) servesFamily(r evidence.Row) bool {
	for _, ip := range evidence.AddressesOf(r) {
		loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if ip.Is6() {
			loopback = netip.IPv6Loopback()
		}
		if c.Served(r) || c.Server.Listeners.Serves(netip.AddrPortFrom(loopback, c.Server.Port)) {
			return true
		}
	}
	return false
}
