package diagnosis

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var NetworkInternal = define("network-internal", networkSetting, definition{
	title:    "A network is internal: it has no route to or from other networks",
	hint:     "probe from a container on that network, or connect the server to another network too",
	explains: []report.Cause{MacvlanHostIsolation, ICCDisabled, FirewallDrops, ForwarderAcceptsAlone, DirectRoutingBlocked},
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		n, between := c.DroppedBetween(r)
		ignoredOn, ignored := publishIgnoredOn(c.Server)
		switch {
		case ignored && r.Address == c.Vantage.Typed && c.ToThisMachine(r):
			return c.internal(ignoredOn)
		case between && n.Layer2():
			return nil
		case between && n.Internal && c.Server.OnlyInternal():
			return c.internal(n)
		case c.Vantage.OnlyInternal() && (between || c.leavesNetwork(r)):
			return c.clientOnInternal()
		default:
			return nil
		}
	},
	vantage: func(c *vantageCase) *report.Fault {
		n, ok := publishIgnoredOn(c.Server)
		if !ok || !c.ServerReached() && !c.NeedsBinding() || c.ServerReached() && c.Server.PublishByDefault {
			return nil
		}
		return c.internal(n)
	},
})

// leavesNetwork says whether a row leads to the engine's host, and nothing there
// explains why it failed.
func (c *vantageCase) leavesNetwork(r evidence.Row) bool {
	if c.ToServerOnHost(r) {
		_, otherHost := c.OnAnotherHost(r)
		return !otherHost
	}
	return c.ToEngineHost(r) && !c.Server.OnlyOnLoopback(r.To.Port) && !c.NotOnAddress(r)
}

// publishIgnoredOn returns the internal network for which a port was not published.
func publishIgnoredOn(s facts.Server) (facts.Network, bool) {
	i := slices.IndexFunc(s.Networks, func(n facts.Network) bool { return n.Internal })
	if !evidence.PublishIgnored(s) || s.HostNetwork || i < 0 {
		return facts.Network{}, false
	}
	return s.Networks[i], true
}

func (c *vantageCase) internal(n facts.Network) *report.Fault {
	fault := because("network %s is internal: it has no route to other networks, and its containers publish no ports", n.Name)
	fault.Commands = []string{networkCommand(c.Server, "NETWORK")}
	if v := c.Vantage; v.Container && !v.OnHost && len(v.Networks) > 0 && !v.Networks[0].Layer2() {
		suggest(fault, "probe from a container on that network, or connect the server to a network of the client too")
		fault.Commands = []string{networkCommand(c.Server, v.Networks[0].Name)}
	}
	return fault
}

// clientOnInternal is the fault of a client that has only internal networks. It stays on
// them: the server is connected to one of them, and nothing else of the client's changes.
func (c *vantageCase) clientOnInternal() *report.Fault {
	n := c.internalToJoin()
	fault := because("%s has only network %s, which is internal: it has no route to other networks, nor to the engine's host", c.Vantage.Place(), n.Name)
	switch {
	case c.Server.Host || len(c.Server.Networks) == 0:
		suggest(fault, "connect the client to another network too")
		fault.Commands = command("docker network connect NETWORK %s", c.clientName())
	case len(c.Vantage.SharedNetworks(c.Server)) > 0:
		suggest(fault, "connect the client to another network of the server too")
		if fault.Commands = c.newNetworkCommands(); !c.IsOn(c.networkToJoin(n)) {
			fault.Commands = c.connectCommands(c.networkToJoin(n))
		}
	default:
		suggest(fault, "connect the server to network %s too: the client then reaches it by name, and still nothing else", n.Name)
		fault.Commands = []string{networkCommand(c.Server, n.Name)}
	}
	return fault
}

// internalToJoin returns the network of the client on which it reaches a server that is
// connected to it.
func (c *vantageCase) internalToJoin() facts.Network {
	i := slices.IndexFunc(c.Vantage.Networks, func(n facts.Network) bool { return !n.Layer2() && !n.ICCDisabled })
	return c.Vantage.Networks[max(0, i)]
}
