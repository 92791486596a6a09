package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

// PortNotPublished is not for a client in a container, which should rather have a
// network in common with the server. Of macvlan and ipvlan networks no port is published.
var PortNotPublished = define("port-not-published", networkSetting, definition{
	title: "The port is not published",
	vantage: func(c *vantageCase) *report.Fault {
		s := c.Server
		_, ignored := publishIgnoredOn(s)
		if c.serverReached() || c.vantage.Container || ignored || !c.needsBinding() || s.OnlyLayer2() {
			return nil
		}
		fault := because("port %d of container %s has no binding on the engine's host", s.Port, s.Name)
		suggest(fault, "create the container with --publish %d", s.Port)
		fault.Commands = command("docker run --publish %d ...", s.Port)
		for _, n := range s.Networks {
			if place := c.elsewhere(n); place != "" {
				also(fault, "its address on network %s is %s", n.Name, place)
			}
		}
		return fault
	},
})
