package diagnosis

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// MTUBlackhole holds if the connection was accepted and the answer did not arrive, or
// not all of it, but in small segments the whole answer did.
var MTUBlackhole = define("mtu-blackhole", transport, definition{
	title:    "Large packets seem to be lost between these endpoints",
	hint:     "give the containers' network the MTU of the narrowest link between these endpoints, or let ICMP type 3 pass",
	commands: []string{"docker network create -o com.docker.network.driver.mtu=1400 NETWORK"},
	needs:    smallSegments,
	rule: func(c *vantageCase, r row) *report.Fault {
		i := slices.IndexFunc(c.vantage.Small, func(a facts.SmallAnswer) bool { return a.Address == r.Address })
		if i < 0 {
			return nil
		}
		small := c.vantage.Small[i]
		fault := because("the whole answer arrived when the server was to send segments of at most %d bytes", small.Segment)
		if small.PathMTU > 0 {
			also(fault, "path MTU from %s: %d bytes", c.vantage.Place(), small.PathMTU)
		}
		for _, n := range c.Server.Networks {
			if n.MTU > 0 {
				also(fault, "network %s has an MTU of %d bytes", n.Name, n.MTU)
			}
		}
		return fault
	},
})
