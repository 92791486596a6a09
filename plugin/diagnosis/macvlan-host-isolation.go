package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// MacvlanHostIsolation holds only for the machine of the parent interface. Behind a
// loopback endpoint it is not known which machine that is.
var MacvlanHostIsolation = define("macvlan-host-isolation", networkSetting, definition{
	title:    "A macvlan or ipvlan container cannot be reached from its own host",
	hint:     "probe from another machine or container on that network, or connect the server to a bridge network too",
	explains: []report.Cause{ICCDisabled, FirewallDrops, ForwarderAcceptsAlone, DirectRoutingBlocked},
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		n, ok := c.DroppedBetween(r)
		if !ok {
			n, ok = c.Layer2FromMachine(r)
			ok = ok && c.Elsewhere(n) == "" && !c.Engine.Loopback
		}
		if !ok || !n.Layer2() {
			return nil
		}
		fault := because("network %s has the driver %s: the kernel passes nothing between its parent interface and the containers on it", n.Name, n.Driver)
		fault.Commands = c.newNetworkCommands()
		return fault
	},
})
