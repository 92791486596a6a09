package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var DefaultBridgeHasNoDNS = define("default-bridge-has-no-dns", addressOnly, definition{
	title:     "The default bridge has no DNS for container names",
	bySetting: true,
	hint:      "connect both to a user-defined bridge network, or use the address",
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		switch {
		case c.Vantage.OnHost && evidence.Unnamed(r.Failure) && r.Kind == report.KindContainerName:
			fault := because("%s is on the network of the engine's host, where container names are not looked up", c.Vantage.Place())
			fault.Hint = "use the address of the server, or a port that it publishes; or start the client on a network of the server"
			fault.Commands = []string{"docker run --network NETWORK ..."}
			return fault
		case c.ContainerNameNotFound(r) && c.Vantage.OnlyDefaultBridge():
			fault := because("%s has only the default bridge, where container names are not looked up", c.Vantage.Place())
			if c.Server.HostNetwork {
				suggest(fault, "use an address of the engine's host: a container on its network has no name on any other")
				return fault
			}
			fault.Commands = c.newNetworkCommands()
			return fault
		default:
			return nil
		}
	},
})
