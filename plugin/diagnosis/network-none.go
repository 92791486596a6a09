package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

var NetworkNone = define("network-none", serverState, definition{
	title:    "The container has no network except loopback",
	hint:     "leave out --network, or name one that has addresses",
	explains: []report.Cause{HostListensOnLoopback},
	everyRow: true,
	rule: func(c *vantageCase, _ row) *report.Fault {
		name := c.Server.Name
		switch {
		case c.Server.NoNetwork:
		case c.vantage.NoNetwork:
			name = c.vantage.Name
		default:
			return nil
		}
		return because("container %s is on the network none, which has only loopback", name)
	},
})
