package diagnosis

import (
	"fmt"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// PortNotPublished is not for a client in a container, which should rather have a
// network in common with the server. Of macvlan and ipvlan networks no port is published.
var PortNotPublished = define("port-not-published", networkSetting, definition{
	title:     "The port is not published",
	bySetting: true,
	vantage: func(c *vantageCase) *report.Fault {
		s := c.Server
		_, ignored := publishIgnoredOn(s)
		if c.serverReached() || c.vantage.Container || ignored || !c.needsBinding() || s.OnlyLayer2() {
			return nil
		}
		fault := because("port %d of container %s has no binding on the engine's host", s.Port, s.Name)
		publish := c.publishPrivately(s.Port)
		suggest(fault, "create the container with --publish %s", publish)
		fault.Commands = command("docker run --publish %s ...", publish)
		for _, n := range s.Networks {
			if place := c.elsewhere(n); place != "" {
				also(fault, "its address on network %s is %s", n.Name, place)
			}
		}
		return fault
	},
})

// publishPrivately is the value of --publish for a port that only this machine must
// reach. The loopback of an engine on another machine is no use to it, nor is that of the
// engine's host to a container.
func (c *vantageCase) publishPrivately(port uint16) string {
	if c.Engine.Host != "" || c.Engine.Loopback || c.vantage.Container || c.vantage.Foreign {
		return fmt.Sprint(port)
	}
	return fmt.Sprintf("127.0.0.1::%d", port)
}
