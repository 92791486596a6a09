package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var ContainerNetworkRemote = define("container-network-remote", addressOnly, definition{
	title:    "Container addresses cannot be reached: their network is elsewhere",
	explains: []report.Cause{HostAliasUnreachable, HostAliasMissing},
	rule: func(c *vantageCase, r row) *report.Fault {
		n, place, hint := c.remoteNetwork(r)
		if place == "" {
			return nil
		}
		fault := because("network %s is %s", n.Name, place)
		fault.Hint = hint
		return fault
	},
})

// remoteNetwork returns the network to which a row leads, where it is if that is not
// on this machine, and what to use instead.
func (c *vantageCase) remoteNetwork(r row) (n facts.Network, place, hint string) {
	if c.toEngineHost(r) {
		n, place, _ = c.remoteGateway(r)
		return n, place, "use the published port on localhost or on the engine's host"
	}
	if n, ok := c.layer2FromMachine(r); ok {
		return n, c.elsewhere(n), "connect the server to a bridge network too, and publish its port: a network of the driver " + n.Driver + " publishes none"
	}
	if n, ok := c.fromMachine(r); ok && !n.Layer2() {
		return n, c.elsewhere(n), "use the published port: this machine has no route to the addresses of containers there"
	}
	return facts.Network{}, "", ""
}
