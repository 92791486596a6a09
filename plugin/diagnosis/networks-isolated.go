package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

var NetworksIsolated = define("networks-isolated", networkSetting, definition{
	title: "Client and server have no network in common",
	hint:  connectBoth,
	rule: func(c *vantageCase, r row) *report.Fault {
		if n, ok := c.droppedBetween(r); ok {
			return c.notCommon(n, "the engine isolates its bridges from each other")
		}
		var fault *report.Fault
		switch {
		case c.nameOfOtherNetwork(r):
			fault = because("%s, and container names are known only on their networks", c.noCommonNetwork())
		case c.droppedAtEngineHost(r) && c.isolatedByPodman():
			fault = because("%s, and Podman isolates such networks for published ports too", c.noCommonNetwork())
		default:
			return nil
		}
		if len(c.Server.Networks) > 0 {
			fault.Commands = c.connectCommands(c.networkToJoin(c.Server.Networks[0]))
		}
		return fault
	},
})

// nameOfOtherNetwork says whether the server's name was not found because the client
// is on none of its networks.
func (c *vantageCase) nameOfOtherNetwork(r row) bool {
	return c.containerNameNotFound(r) && !c.vantage.OnlyDefaultBridge() &&
		len(c.Server.Networks) > 0 && len(c.vantage.SharedNetworks(c.Server)) == 0
}

// isolatedByPodman says whether Podman keeps the client from the server although the
// port is published. Networks that are created through Docker's API get Podman's
// option isolate, whose rules apply after a published port's address has been replaced
// by the container's (netavark 1.4, NETAVARK_ISOLATION; measured on Podman 4.3).
func (c *vantageCase) isolatedByPodman() bool { return c.Engine.Podman && c.isolatedFromServer() }
