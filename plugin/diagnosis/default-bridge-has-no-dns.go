package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

var DefaultBridgeHasNoDNS = define("default-bridge-has-no-dns", addressOnly, definition{
	title:    "The default bridge has no DNS for container names",
	hint:     "connect both to a user-defined bridge network, or use the address",
	commands: []string{createNetwork},
	rule: func(c *vantageCase, r row) *report.Fault {
		if !c.containerNameNotFound(r) || !c.vantage.OnlyDefaultBridge() {
			return nil
		}
		return because("%s is only on the default bridge, where container names are not looked up", c.vantage.Place())
	},
})
