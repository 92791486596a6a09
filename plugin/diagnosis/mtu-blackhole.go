package diagnosis

import (
	"cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// MTUBlackhole holds if the connection was accepted and the answer did not arrive, or
// not all of it, but in small segments the whole answer did.
var MTUBlackhole = define("mtu-blackhole", transport, definition{
	title:  "Large packets seem to be lost between these endpoints",
	needs:  secondAnswers,
	second: true,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		for _, longer := range c.Asked(r, netprobe.AskLonger) {
			if !stalls(&longer.Result) {
				return nil // it was slow
			}
		}
		if small := c.answersInSmallSegments(r); small != nil {
			return c.blackhole(small.Result.PathMTU)
		}
		return nil
	},
})

// answersInSmallSegments returns the whole answer that arrived in small segments only; nil if
// there is none.
func (c *vantageCase) answersInSmallSegments(r evidence.Row) *facts.SecondAnswer {
	for _, small := range c.Asked(r, netprobe.AskSmall) {
		if small.Result.Answered() && !stalls(&small.Result) {
			return small
		}
	}
	return nil
}

// stalls says whether the server accepted the connection and did not send all of its
// answer.
func stalls(r *netprobe.Result) bool {
	return r.Failure == netprobe.NoResponse || r.Failure == netprobe.StalledBody
}

func (c *vantageCase) blackhole(pathMTU int) *report.Fault {
	fault := because("the whole answer arrived when the server was to send segments of at most %d bytes", netprobe.SmallSegment)
	if pathMTU > 0 {
		also(fault, "path MTU from %s: %d bytes", c.Vantage.Place(), pathMTU)
	}
	for _, n := range c.Server.Networks {
		if n.MTU > 0 {
			also(fault, "network %s has an MTU of %d bytes", n.Name, n.MTU)
		}
	}
	c.lowerMTU(fault, pathMTU)
	return fault
}

// lowerMTU adds the MTU to give to the network: that of the path if it is known to be
// smaller, else an example.
func (c *vantageCase) lowerMTU(fault *report.Fault, pathMTU int) {
	mtu := 1400 // which passes most tunnels
	switch now := c.serverMTU(); {
	case pathMTU > 0 && pathMTU < now:
		mtu = pathMTU
		suggest(fault, "give the containers' network the MTU of the path, or let ICMP type 3 pass; if large answers still stall, a link is narrower still")
	case now <= mtu:
		mtu = 1280 // which every link passes that takes IPv6 (RFC 8200, section 5)
		fallthrough
	default:
		suggest(fault, "give the containers' network the MTU of the narrowest link between these endpoints, for example %d, or let ICMP type 3 pass", mtu)
	}
	fault.Commands = command("docker network create -o com.docker.network.driver.mtu=%s NETWORK", mtu)
}

// defaultMTU is the MTU of Ethernet, in bytes (RFC 894), which engines give to networks
// without an MTU of their own.
const defaultMTU = 1500

// serverMTU returns the smallest MTU of the server's networks, in bytes.
func (c *vantageCase) serverMTU() int {
	smallest := 0
	for _, n := range c.Server.Networks {
		if mtu := cmp.Or(n.MTU, defaultMTU); smallest == 0 || mtu < smallest {
			smallest = mtu
		}
	}
	return cmp.Or(smallest, defaultMTU)
}
