package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// PortNotPublished is not for a client in a container, which should rather have a
// network in common with the server. Of macvlan and ipvlan networks no port is published.
var PortNotPublished = define("port-not-published", networkSetting, definition{
	title:     "The port is not published",
	bySetting: true,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		s := c.Server
		if r.Address == c.Vantage.Typed && c.ToThisMachine(r) && c.Engine.Host == "" && len(s.Bindings) == 0 && !s.HostNetwork && !s.Host {
			return c.unbound()
		}
		if r.Address != c.Vantage.Typed || !c.notPublishedAt(r) || s.HostNetwork || s.OnlyOnLoopback(r.To.Port) && c.ToEngineHost(r) || c.publishedOnOtherLoopback(r) {
			return nil
		}
		fault := because("%s, and not at %s", evidence.PublishedAt(s), r.Address)
		fault.Title = "The port is not published at this address"
		suggest(fault, "use an address at which it is published")
		if !s.Publishes(r.To.Port) {
			suggest(fault, "use the port of the host at which it is published (%d)", s.Bindings[0].HostPort)
		}
		return fault
	},
	vantage: func(c *vantageCase) *report.Fault {
		s := c.Server
		_, ignored := publishIgnoredOn(s)
		if c.ServerReached() || c.Vantage.Container || ignored || !c.NeedsBinding() || s.OnlyLayer2() {
			return nil
		}
		fault := c.unbound()
		for _, n := range s.Networks {
			if place := c.Elsewhere(n); place != "" {
				also(fault, "its address on network %s is %s", n.Name, place)
			}
		}
		return fault
	},
})

// unbound is the fault of a container whose port no port of the engine's host leads to.
func (c *vantageCase) unbound() *report.Fault {
	s := c.Server
	fault := because("port %d of container %s has no binding on the engine's host", s.Port, s.Name)
	if s.OnlyLayer2() {
		also(fault, "the engine publishes nothing of a %s network", s.Networks[0].Driver)
		suggest(fault, "use the container's own address from another machine of that network, or connect the container to a bridge network too")
		return fault
	}
	publish := c.publishPrivately(s.Port)
	if typed := evidence.ParseAddress(c.Vantage.Typed); typed.Port != 0 && !c.Vantage.Container && c.Engine.Host == "" {
		publish = fmt.Sprintf("127.0.0.1:%d:%d", typed.Port, s.Port)
	}
	suggest(fault, "create the container with --publish %s", publish)
	fault.Commands = command("docker run --publish %s ...", publish)
	return fault
}

// notPublishedAt says whether a row leads to addresses of the engine's host, on this machine,
// at which the port is not published, though it is at others.
func (c *vantageCase) notPublishedAt(r evidence.Row) bool {
	here := c.ToThisMachine(r) || c.ToEngineHost(r) && !c.Vantage.Container
	published := func(ip netip.Addr) bool { return c.Server.PublishedAt(ip, r.To.Port) }
	return here && evidence.Refused(r.Failure) && c.Engine.Host == "" && len(c.Server.Bindings) > 0 && !slices.ContainsFunc(evidence.AddressesOf(r), published)
}

// publishPrivately is the value of --publish for a port that only this machine must
// reach. The loopback of an engine on another machine is no use to it, nor is that of the
// engine's host to a container.
func (c *vantageCase) publishPrivately(port uint16) string {
	if c.Engine.Host != "" || c.Engine.Loopback || c.Vantage.Container || c.Vantage.Foreign {
		return fmt.Sprint(port)
	}
	return fmt.Sprintf("127.0.0.1::%d", port)
}
