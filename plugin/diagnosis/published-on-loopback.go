package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

var PublishedOnLoopback = define("published-on-loopback", networkSetting, definition{
	title:    "The port is published only on the host's loopback",
	explains: []report.Cause{FirewallDrops, ForwarderAcceptsAlone, DirectRoutingBlocked, NetworksIsolated},
	rule: func(c *vantageCase, r row) *report.Fault {
		toOtherMachine := c.toThisMachine(r) && c.Engine.Host != ""
		if !c.Server.OnlyOnLoopback(r.to.port) || !toOtherMachine && !c.toEngineHost(r) {
			return nil
		}
		fault := because("the port is published only at %s of the engine's host", join(c.Server.Bindings))
		fault.Hint = "publish it on every address, or on one that can be reached from " + c.vantage.Place()
		fault.Commands = command("docker run --publish %d:%d ...", r.to.port, c.Server.Port)
		return fault
	},
})
