package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var LocalhostIsThisContainer = define("localhost-is-this-container", addressOnly, definition{
	title:     "In a container, localhost is the container itself",
	bySetting: true,
	hint:      "use an address of the server or of the engine's host: localhost is the client container",
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		switch {
		case !c.OwnLoopback(r):
			return nil
		case c.Server.HostNetwork:
			return because("the server shares the network of the engine's host")
		default:
			return because("%s of the engine's host", evidence.PublishedAt(c.Server))
		}
	},
})
