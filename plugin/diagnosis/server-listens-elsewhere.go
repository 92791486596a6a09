package diagnosis

import (
	"net/netip"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var ServerListensElsewhere = define("server-listens-elsewhere", serverState, definition{
	title:    "The server listens on another port or address",
	hint:     listenEverywhere,
	explains: []report.Cause{ServerNotReady},
	needs:    listeners,
	shownBy:  ListenersCheck,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		switch {
		case c.portOfHost(r):
			fault := because("port %d of the host leads to port %d of the container, in which nothing listens on port %[1]d", r.To.Port, c.Server.Port)
			suggest(fault, "use %s:%d: a port that is published has that number only at the addresses of the host", r.To.Host, c.Server.Port)
			return fault
		case c.meantInstead():
			return nil
		case c.Server.Listeners.None(c.Server.Port):
			return c.otherPort(r)
		case c.NotOnAddress(r) && !c.forwarderCloses():
			fault := because("%s", evidence.UnservedAddresses(c.Server))
			fault.Hint = everywhere(c.Server)
			return fault
		case c.notOnHostAddress(r):
			fault := because("on the host, %s, and nothing at %s", evidence.OnlyListeners(c.Server), evidence.Join(evidence.AddressesOf(r)))
			suggest(fault, "have the server on the host listen on the address that refuses too, or use an address of the host at which it listens")
			return fault
		default:
			return nil
		}
	},
})

// portOfHost says whether a row has a name of the container with the number of a port that it
// publishes, at which nothing listens in it.
func (c *vantageCase) portOfHost(r evidence.Row) bool {
	s := c.Server
	return r.Kind == report.KindContainerName && r.To.Port != s.Port && s.Publishes(r.To.Port) && evidence.Refused(r.Failure) &&
		s.Listeners.None(r.To.Port) && !s.Listeners.None(s.Port)
}

// notOnHostAddress says whether a row leads to an address of the host that refuses, while
// the server listens at others. The gateways of a rootless engine refuse for another
// reason, and a port that a container publishes needs no socket.
func (c *vantageCase) notOnHostAddress(r evidence.Row) bool {
	s := c.Server
	if !s.Host || len(s.PublishedBy) > 0 || c.Engine.NetworksElsewhere() || !c.ToServerOnHost(r) || !evidence.Refused(r.Failure) ||
		len(s.Listeners.On(s.Port)) == 0 || s.Listeners.Truncated || s.Listeners.OnlyLoopback(s.Port) {
		return false
	}
	served := func(ip netip.Addr) bool { return s.Listeners.Serves(netip.AddrPortFrom(ip, s.Port)) }
	to := evidence.AddressesOf(r)
	return len(to) > 0 && !slices.ContainsFunc(to, served)
}

// otherPort is the fault of a server with sockets on other ports only.
func (c *vantageCase) otherPort(r evidence.Row) *report.Fault {
	s := c.Server
	others := s.Listeners.Elsewhere(s.Port)
	if !c.IsToServer(r) || s.Host || len(others) == 0 {
		return nil
	}
	fault := because("in the container, nothing listens on port %d, but there are listeners at %s", s.Port, evidence.Join(others))
	isOther := func(a netip.AddrPort) bool { return slices.Contains(s.PublishedToo, a.Port()) }
	if only := slices.DeleteFunc(slices.Clone(others), isOther); len(s.Bindings) > 0 && len(only) > 0 {
		others = only
	} else if len(s.Bindings) > 0 {
		suggest(fault, "have the server listen on port %d, such as by a plugin or a setting that enables it: the other ports are published themselves", s.Port)
		return fault
	}
	suggest(fault, "use the port that the server listens on (%d), or have it listen on %d", others[0].Port(), s.Port)
	if len(s.Bindings) > 0 {
		fault.Commands = command("docker run --publish %s ...", s.Bindings[0].Publish(others[0].Port()))
	}
	return fault
}
