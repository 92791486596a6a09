package diagnosis

import (
	"net/netip"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var PublishedFamilyMismatch = define("published-family-mismatch", addressOnly, definition{
	title:     "IPv4 and IPv6 are published differently",
	bySetting: true,
	explains: []report.Cause{
		ContainerNetworkRemote, DefaultBridgeHasNoDNS, HostAliasUnreachable, HostAliasMissing, LocalhostIsThisContainer,
	},
	rule: func(c *vantageCase, r row) *report.Fault {
		fault := because("%s", publishedAt(c.Server))
		_, _, remote := c.remoteGateway(r)
		switch {
		case c.Server.HostNetwork:
			return nil
		case c.toThisMachine(r) && c.Engine.Host == "" && c.publishedOnOtherLoopback(r):
			suggest(fault, "use an address at which it is published: port %d is not published for %s", r.to.port, r.to.ip)
		case c.toEngineHost(r) && refused(r.Failure) && c.Engine.Host != "" && c.publishedForOtherFamily(r):
			asked, published := "IPv4", "IPv6"
			if r.to.ip.Is6() {
				asked, published = published, asked
			}
			also(fault, "it is not published for %s, and %s is an address of %s", asked, r.to.ip, asked)
			suggest(fault, "use an %s address of the engine's host, or publish the port for %s too", published, asked)
		case c.toEngineHost(r) && dropped(r.Failure) && c.vantage.LacksFamily(r.to.ip) && !remote && !c.publishedForIPv4():
			also(fault, "%s has no IPv6 address from which to reach %s", c.vantage.Place(), r.to.ip)
			suggest(fault, "publish the port for IPv4 too, or give the client a network with IPv6")
		default:
			return nil
		}
		return fault
	},
})

// publishedOnOtherLoopback says whether a port is published on loopback, but not in the family
// of a row's address.
func (c *vantageCase) publishedOnOtherLoopback(r row) bool {
	other := netip.IPv6Loopback()
	if r.to.ip.Is6() {
		other = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return r.to.ip.IsValid() && !c.Server.PublishedAt(r.to.ip, r.to.port) && c.Server.PublishedAt(other, r.to.port)
}

// publishedForOtherFamily says whether the port of a row is published, and only for addresses
// of the other family than the row's.
func (c *vantageCase) publishedForOtherFamily(r row) bool {
	same := func(b facts.Binding) bool { return b.HostPort == r.to.port && b.HostIP.Is4() == r.to.ip.Is4() }
	return r.to.ip.IsValid() && c.Server.Publishes(r.to.port) && !slices.ContainsFunc(c.Server.Bindings, same)
}

// publishedForIPv4 says whether a client that has only IPv4 can use a published port.
func (c *vantageCase) publishedForIPv4() bool {
	return slices.ContainsFunc(c.Server.Bindings, func(b facts.Binding) bool { return b.HostIP.Is4() })
}
