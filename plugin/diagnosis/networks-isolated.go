package diagnosis

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var NetworksIsolated = define("networks-isolated", networkSetting, definition{
	title: "Client and server have no network in common",
	hint:  connectBoth,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		if n, ok := c.DroppedBetween(r); ok {
			return c.notCommon(n, "the engine isolates its bridges from each other")
		}
		var fault *report.Fault
		switch {
		case c.nameOfOtherNetwork(r):
			fault = because("%s, and container names are known only on their networks", c.NoCommonNetwork())
		case c.DroppedAtEngineHost(r) && c.isolatedByPodman():
			fault = because("%s, and Podman isolates such networks for published ports too", c.NoCommonNetwork())
		case c.DroppedAtEngineHost(r) && c.reachedFromItsNetwork(r) != nil:
			other := c.reachedFromItsNetwork(r)
			fault = because("%s, and packets to the published port are dropped too, which answers from %s at %s: an engine without docker-proxy does that, or else a firewall between the networks", c.NoCommonNetwork(), other.Vantage, other.Address)
		default:
			return nil
		}
		switch {
		case c.Server.HostNetwork:
			suggest(fault, "use an address of the engine's host: a container on its network has no name on any other")
		case len(c.Server.Networks) > 0:
			fault.Commands = c.connectCommands(c.networkToJoin(c.Server.Networks[0]))
		}
		return fault
	},
})

// nameOfOtherNetwork says whether the server's name was not found because the client
// is on none of its networks.
func (c *vantageCase) nameOfOtherNetwork(r evidence.Row) bool {
	return c.ContainerNameNotFound(r) && !c.Vantage.OnlyDefaultBridge() &&
		len(c.Server.Networks) > 0 && len(c.Vantage.SharedNetworks(c.Server)) == 0
}

// isolatedByPodman says whether Podman keeps the client from the server although the
// port is published. Networks that are created through Docker's API get Podman's
// option isolate, whose rules apply after a published port's address has been replaced
// by the container's (netavark 1.4, NETAVARK_ISOLATION; measured on Podman 4.3).
func (c *vantageCase) isolatedByPodman() bool { return c.Engine.Podman && c.IsolatedFromServer() }

// reachedFromItsNetwork returns a probe from a container on the server's own network that
// reaches the same published port, if packets of the client to the server were dropped; else
// nil. Where the engine has no docker-proxy (dockerd --userland-proxy=false), a published
// port is redirected to the container's address before the rules that isolate bridges
// (measured on Engine 26.1). A firewall that lets one network in and not the other looks the
// same, and a network in common helps in both cases.
func (c *vantageCase) reachedFromItsNetwork(r evidence.Row) *report.Probe {
	if !c.IsolatedFromServer() {
		return nil
	}
	i := slices.IndexFunc(c.AllProbes, func(p report.Probe) bool {
		return p.OK && evidence.IsEngineHost(p.Kind) && evidence.ParseAddress(p.Address).Port == r.To.Port && c.sharesNetwork(p.Vantage)
	})
	if i < 0 {
		return nil
	}
	return &c.AllProbes[i]
}

// sharesNetwork says whether a vantage is a container on a network of the server.
func (c *vantageCase) sharesNetwork(name string) bool {
	return slices.ContainsFunc(c.vantages, func(v facts.Vantage) bool {
		return v.Name == name && v.Container && len(v.SharedNetworks(c.Server)) > 0
	})
}
