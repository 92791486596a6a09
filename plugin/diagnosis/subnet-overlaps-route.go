package diagnosis

import (
	"net/netip"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

var SubnetOverlapsRoute = define("subnet-overlaps-route", networkSetting, definition{
	title:    "Another route covers the container's subnet",
	hint:     "give the network a subnet that no route of this machine covers",
	commands: []string{"docker network create --subnet 10.123.0.0/24 NETWORK"},
	explains: []report.Cause{FirewallDrops, PortNotPublished, ForwarderAcceptsAlone, DirectRoutingBlocked, NetworksIsolated},
	needs:    routes,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		if c.DroppedAtEngineHost(r) {
			return c.publishedOverlap()
		}
		n, ok := c.FromMachine(r)
		if !ok || n.Layer2() || c.Elsewhere(n) != "" || c.NotOnAddress(r) {
			return nil
		}
		return c.overlap(n, r.To.IP)
	},
})

// publishedOverlap: if the engine's networks are on this machine, its routes are
// those of published ports too.
func (c *vantageCase) publishedOverlap() *report.Fault {
	for _, n := range c.Server.Networks {
		if !slices.Contains(c.Vantage.Addresses, n.GatewayIPv4) {
			continue // it is on another machine
		}
		if fault := c.overlap(n, n.IPv4); fault != nil {
			return fault
		}
	}
	return nil
}

// overlap is the fault of a route that sends what is for the container elsewhere.
func (c *vantageCase) overlap(n facts.Network, ip netip.Addr) *report.Fault {
	bridgeIsHere := n.GatewayIPv4.IsValid() && slices.Contains(c.Vantage.Addresses, n.GatewayIPv4)
	i := slices.IndexFunc(c.Vantage.Routes, func(r facts.Route) bool { return r.To == ip && !r.Engine && (r.Prefix.Bits() > 0 || bridgeIsHere) })
	if i < 0 {
		return nil
	}
	r := c.Vantage.Routes[i]
	if r.Rejects != "" {
		fault := because("this machine rejects packets for %s: it has the route %s %s", ip, r.Rejects, r.Prefix)
		suggest(fault, "remove the route, or give the network a subnet that it does not cover")
		fault.Commands = command("sudo ip route del %s %s", shell.Text(r.Rejects), r.Prefix)
		return fault
	}
	fault := because("this machine sends packets for %s to interface %s, not to the bridge of network %s", ip, r.Interface, n.Name)
	if r.Prefix.Bits() > 0 {
		also(fault, "it uses the route %s", r.Prefix)
	} else {
		also(fault, "no route of the main table says so: ip rule lists the rules that choose another one")
	}
	return fault
}
