package diagnosis

import (
	"fmt"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// stalled: the connection stood and no answer came, or not all of it, while short
// segments brought the whole.
func (c *vantageCase) stalled(_ address, row *report.Probe) *report.Fault {
	i := slices.IndexFunc(c.vantage.Small, func(a facts.SmallAnswer) bool { return a.Address == row.Address })
	if row.OK || i < 0 {
		return nil
	}
	small := c.vantage.Small[i]
	fault := &report.Fault{
		Cause:    MTUBlackhole,
		Evidence: []string{fmt.Sprintf("the whole answer came when the server was told to send segments of at most %d bytes", small.Segment)},
		Hint:     "give the containers' network the MTU of the narrowest link on the way, or let ICMP type 3 pass",
		Commands: []string{"docker network create -o com.docker.network.driver.mtu=1400 NETWORK"},
	}
	if small.PathMTU > 0 {
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("%s takes the way there for one of %d bytes (path MTU)", c.vantage.Place(), small.PathMTU))
	}
	for _, n := range c.Server.Networks {
		if n.MTU > 0 {
			fault.Evidence = append(fault.Evidence, fmt.Sprintf("network %s has an MTU of %d bytes", n.Name, n.MTU))
		}
	}
	return fault
}
