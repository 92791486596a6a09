package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// MTUBlackhole holds if the connection was accepted and the answer did not arrive, or
// not all of it, but in small segments the whole answer did.
var MTUBlackhole = define("mtu-blackhole", transport, definition{
	title:    "Large packets seem to be lost between these endpoints",
	hint:     "give the containers' network the MTU of the narrowest link between these endpoints, or let ICMP type 3 pass",
	commands: []string{"docker network create -o com.docker.network.driver.mtu=1400 NETWORK"},
	needs:    secondAnswers,
	second:   true,
	rule: func(c *vantageCase, r row) *report.Fault {
		for _, longer := range c.asked(r, netprobe.AskLonger) {
			if !stalls(&longer.Result) {
				return nil // it was slow
			}
		}
		for _, small := range c.asked(r, netprobe.AskSmall) {
			if small.Result.Answered() && !stalls(&small.Result) {
				return c.blackhole(small.Result.PathMTU)
			}
		}
		return nil
	},
})

// stalls says whether the server accepted the connection and did not send all of its
// answer.
func stalls(r *netprobe.Result) bool {
	return r.Failure == netprobe.NoResponse || r.Failure == netprobe.StalledBody
}

func (c *vantageCase) blackhole(pathMTU int) *report.Fault {
	fault := because("the whole answer arrived when the server was to send segments of at most %d bytes", netprobe.SmallSegment)
	if pathMTU > 0 {
		also(fault, "path MTU from %s: %d bytes", c.vantage.Place(), pathMTU)
	}
	for _, n := range c.Server.Networks {
		if n.MTU > 0 {
			also(fault, "network %s has an MTU of %d bytes", n.Name, n.MTU)
		}
	}
	return fault
}
