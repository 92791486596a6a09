package diagnosis

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var NetworkInternal = define("network-internal", networkSetting, definition{
	title:    "The server's network is internal",
	hint:     "probe from a container on that network, or connect the server to another network too",
	explains: []report.Cause{MacvlanHostIsolation, ICCDisabled, FirewallDrops, ForwarderAcceptsAlone, DirectRoutingBlocked},
	rule: func(c *vantageCase, r row) *report.Fault {
		n, between := c.droppedBetween(r)
		switch {
		case between && n.Layer2():
			return nil
		case between && n.Internal:
			return c.internal(n)
		case c.vantage.OnlyInternal() && (between || c.leavesNetwork(r)):
			return c.internal(c.vantage.Networks[0])
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
	fault.Commands = []string{commandFor(c.Server, "docker network connect NETWORK")}
	return fault
}
