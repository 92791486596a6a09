package diagnosis

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var NetworkInternal = define("network-internal", networkSetting, definition{
	title:    "A network is internal: it has no route to or from other networks",
	hint:     "probe from a container on that network, or connect the server to another network too",
	explains: []report.Cause{MacvlanHostIsolation, ICCDisabled, FirewallDrops, ForwarderAcceptsAlone, DirectRoutingBlocked},
	rule: func(c *vantageCase, r row) *report.Fault {
		n, between := c.droppedBetween(r)
		switch {
		case between && n.Layer2():
			return nil
		case between && n.Internal && c.Server.OnlyInternal():
			return c.internal(n)
		case c.vantage.OnlyInternal() && (between || c.leavesNetwork(r)):
			return c.clientOnInternal(c.vantage.Networks[0])
		default:
			return nil
		}
	},
	vantage: func(c *vantageCase) *report.Fault {
		n, ok := publishIgnoredOn(c.Server)
		if !ok || !c.serverReached() && !c.needsBinding() {
			return nil
		}
		return c.internal(n)
	},
})

// leavesNetwork says whether a row leads to the engine's host, and nothing there
// explains why it failed.
func (c *vantageCase) leavesNetwork(r row) bool {
	if toServerOnHost(r) {
		_, otherHost := c.onAnotherHost(r)
		return !otherHost
	}
	return c.toEngineHost(r) && !c.Server.OnlyOnLoopback(r.to.port) && !c.notOnAddress(r)
}

// publishIgnoredOn returns the internal network for which a port was not published.
func publishIgnoredOn(s facts.Server) (facts.Network, bool) {
	i := slices.IndexFunc(s.Networks, func(n facts.Network) bool { return n.Internal })
	if !publishIgnored(s) || s.HostNetwork || i < 0 {
		return facts.Network{}, false
	}
	return s.Networks[i], true
}

func (c *vantageCase) internal(n facts.Network) *report.Fault {
	fault := because("network %s is internal: it has no route to other networks, and its containers publish no ports", n.Name)
	fault.Commands = []string{networkCommand(c.Server, "NETWORK")}
	if v := c.vantage; v.Container && !v.OnHost && len(v.Networks) > 0 && !v.Networks[0].Layer2() {
		suggest(fault, "probe from a container on that network, or connect the server to a network of the client too")
		fault.Commands = []string{networkCommand(c.Server, v.Networks[0].Name)}
	}
	return fault
}

// clientOnInternal is the fault of a client that has only internal networks.
func (c *vantageCase) clientOnInternal(n facts.Network) *report.Fault {
	fault := because("%s has only network %s, which is internal: it has no route to other networks, nor to the engine's host", c.vantage.Place(), n.Name)
	if c.Server.Host || len(c.Server.Networks) == 0 {
		suggest(fault, "connect the client to another network too")
		fault.Commands = command("docker network connect NETWORK %s", c.clientName())
		return fault
	}
	suggest(fault, "connect the client to a network of the server too")
	if len(c.vantage.SharedNetworks(c.Server)) > 0 {
		suggest(fault, "connect the client to another network of the server too")
	}
	fault.Commands = c.connectCommands(c.networkToJoin(c.Server.Networks[0]))
	return fault
}
