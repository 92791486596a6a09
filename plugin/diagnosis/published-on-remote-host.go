package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

var PublishedOnRemoteHost = define("published-on-remote-host", addressOnly, definition{
	title:    "The port is published on the engine's host, which is not this machine",
	explains: []report.Cause{ContainerNetworkRemote, HostAliasUnreachable, HostAliasMissing},
	rule: func(c *vantageCase, r row) *report.Fault {
		if !c.toThisMachine(r) || c.Engine.Host == "" {
			return nil
		}
		fault := because("the engine is on %s, and publishes ports there", c.Engine.Host)
		fault.Hint = "use " + c.Engine.Host + " instead of localhost"
		return fault
	},
})
