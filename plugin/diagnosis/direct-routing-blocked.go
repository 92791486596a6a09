package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// directRoutingSince is the version of Docker Engine from which packets that are
// routed to a container's address from another interface are dropped (Docker
// Engine 28 release notes; measured on 28.5.2).
const directRoutingSince = 28

var DirectRoutingBlocked = define("direct-routing-blocked", networkSetting, definition{
	title:    "The engine drops packets routed to a container's address",
	explains: []report.Cause{NetworksIsolated},
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		n, ok := c.DroppedBetween(r)
		if !ok || c.Engine.Major < directRoutingSince || n.GatewayMode != "" && n.GatewayMode != "nat" || c.Vantage.LacksFamily(r.To.IP) {
			return nil
		}
		return c.notCommon(n, "Docker Engine %d drops what is routed to network %s from another one (gateway mode nat)", c.Engine.Major, n.Name)
	},
})
