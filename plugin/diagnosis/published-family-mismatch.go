package diagnosis

import (
	"net/netip"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var PublishedFamilyMismatch = define("published-family-mismatch", addressOnly, definition{
	title:     "IPv4 and IPv6 are published differently",
	bySetting: true,
	explains: []report.Cause{
		ContainerNetworkRemote, DefaultBridgeHasNoDNS, HostAliasUnreachable, HostAliasMissing, LocalhostIsThisContainer,
	},
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		fault := because("%s", evidence.PublishedAt(c.Server))
		_, _, remote := c.RemoteGateway(r)
		switch {
		case c.Server.HostNetwork:
			return nil
		case c.ToThisMachine(r) && c.Engine.Host == "" && c.publishedOnOtherLoopback(r):
			suggest(fault, "use an address at which it is published: port %d is not published for %s", r.To.Port, r.To.IP)
		case c.ToEngineHost(r) && evidence.Refused(r.Failure) && c.Engine.Host != "" && c.publishedForOtherFamily(r):
			asked, published := "IPv4", "IPv6"
			if r.To.IP.Is6() {
				asked, published = published, asked
			}
			also(fault, "it is not published for %s, and %s is an address of %s", asked, r.To.IP, asked)
			suggest(fault, "use an %s address of the engine's host, or publish the port for %s too", published, asked)
		case c.ToEngineHost(r) && evidence.Dropped(r.Failure) && c.Vantage.LacksFamily(r.To.IP) && !remote && !c.PublishedForIPv4():
			also(fault, "%s has no IPv6 address from which to reach %s", c.Vantage.Place(), r.To.IP)
			suggest(fault, "publish the port for IPv4 too, or give the client a network with IPv6")
		default:
			return nil
		}
		return fault
	},
})

// publishedOnOtherLoopback says whether a port is published on loopback, but not in the family
// of a row's address.
func (c *vantageCase) publishedOnOtherLoopback(r evidence.Row) bool {
	other := netip.IPv6Loopback()
	if r.To.IP.Is6() {
		other = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return r.To.IP.IsValid() && !c.Server.PublishedAt(r.To.IP, r.To.Port) && c.Server.PublishedAt(other, r.To.Port)
}

// publishedForOtherFamily says whether the port of a row is published, and only for addresses
// of the other family than the row's.
func (c *vantageCase) publishedForOtherFamily(r evidence.Row) bool {
	same := func(b facts.Binding) bool { return b.HostPort == r.To.Port && b.HostIP.Is4() == r.To.IP.Is4() }
	return r.To.IP.IsValid() && c.Server.Publishes(r.To.Port) && !slices.ContainsFunc(c.Server.Bindings, same)
}
