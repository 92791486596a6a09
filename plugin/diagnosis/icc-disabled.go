package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

var ICCDisabled = define("icc-disabled", networkSetting, definition{
	title:    "The network does not let its containers reach each other",
	explains: []report.Cause{FirewallDrops, ForwarderAcceptsAlone, DirectRoutingBlocked},
	rule: func(c *vantageCase, r row) *report.Fault {
		n, ok := c.droppedWithin(r)
		if !ok || !n.ICCDisabled {
			return nil
		}
		fault := because("network %s has com.docker.network.bridge.enable_icc=false", n.Name)
		fault.Hint = "connect both to a network that lets its containers reach each other" + c.orPublished()
		fault.Commands = c.newNetworkCommands()
		return fault
	},
})
