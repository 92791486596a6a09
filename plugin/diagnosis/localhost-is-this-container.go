package diagnosis

import (
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var LocalhostIsThisContainer = define("localhost-is-this-container", addressOnly, definition{
	title:     "In a container, localhost is the container itself",
	bySetting: true,
	hint:      "use an address of the server or of the engine's host: localhost is the client container",
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		switch {
		case c.meantInstead():
			fault := because("in %s, localhost is that container, and nothing listens on port %d in it", c.Vantage.Place(), c.Server.Port)
			for _, server := range c.Server.MeantInstead {
				also(fault, "port %d is also that of %s", c.Server.Port, server.Where)
			}
			suggest(fault, "use the name of the container in which the server runs, or an address of the host; a server that is to run in %s does not listen", c.Server.Name)
			if near := c.meantNear(); len(near) == 1 {
				suggest(fault, "use %s, if that is the server that you mean", near[0])
			} else if len(near) > 1 {
				suggest(fault, "use the one that you mean: %s", strings.Join(near, ", "))
			}
			return fault
		case !c.OwnLoopback(r):
			return nil
		case c.Server.HostNetwork:
			return because("the server shares the network of the engine's host")
		default:
			return because("%s of the engine's host", evidence.PublishedAt(c.Server))
		}
	},
})

// meantInstead says whether the user has typed localhost for a client in which nothing listens.
func (c *vantageCase) meantInstead() bool {
	return (c.Server.OwnLocalhost || len(c.Server.MeantInstead) > 0) && c.Server.Listeners != nil && c.Server.Listeners.None(c.Server.Port)
}

// meantNear returns the addresses of the servers that may be meant on the client's networks.
func (c *vantageCase) meantNear() []string {
	var near []string
	for _, server := range c.Server.MeantInstead {
		if server.Address != "" {
			near = append(near, server.Address)
		}
	}
	return near
}
