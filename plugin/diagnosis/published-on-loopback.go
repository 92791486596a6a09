package diagnosis

import (
	"net/netip"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var PublishedOnLoopback = define("published-on-loopback", networkSetting, definition{
	title:     "The port is published only on the host's loopback",
	bySetting: true,
	explains:  []report.Cause{FirewallDrops, ForwarderAcceptsAlone, DirectRoutingBlocked, NetworksIsolated},
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		if c.ToServerOnHost(r) && evidence.Refused(r.Failure) && c.Server.PublishedOnlyOnLoopback() {
			return c.hostPortOnLoopback(r)
		}
		toOtherMachine := c.ToThisMachine(r) && c.Engine.Host != ""
		if !c.Server.OnlyOnLoopback(r.To.Port) || !toOtherMachine && !c.ToEngineHost(r) || c.failsOnLoopback() {
			return nil
		}
		fault := because("the port is published only at %s of the engine's host", evidence.Join(c.Server.Bindings))
		fault.Hint = "publish it on an address that can be reached from " + c.Vantage.Place() + "; without an address it is open to all machines that reach the engine's host"
		fault.Commands = command("docker run --publish %s ...", c.reachable(r).Publish(c.Server.Port))
		return fault
	},
})

// hostPortOnLoopback is about a port of the engine's host that containers publish only on
// its loopback.
func (c *vantageCase) hostPortOnLoopback(r evidence.Row) *report.Fault {
	p := c.Server.PublishedBy[0]
	fault := because("container %s publishes the port only at %s of the engine's host", p.Container, evidence.Join(p.Bindings))
	fault.Hint = "connect the client to a network of that container, or publish the port on an address that can be reached from " + c.Vantage.Place()
	if r.To.IP.Is4() {
		fault.Commands = command("docker run --publish %s:%s:%s ...", r.To.IP, c.Server.Port, p.Port)
	}
	return fault
}

// failsOnLoopback says whether the port fails on the engine's loopback too: then it does
// not matter where it is published.
func (c *vantageCase) failsOnLoopback() bool {
	failed := false
	for _, p := range c.AllProbes {
		to := evidence.ParseAddress(p.Address)
		if p.Vantage != report.VantageHost || !evidence.IsLocalhost(p.Kind) || !c.Server.PublishedAt(to.IP, to.Port) || c.Engine.Host != "" {
			continue
		}
		if p.OK {
			return false
		}
		failed = true
	}
	return failed
}

// reachable is a binding at the address to which a row leads, if the engine can bind it,
// or else at all addresses.
func (c *vantageCase) reachable(r evidence.Row) facts.Binding {
	ip := r.To.IP
	if !ip.IsValid() || ip.IsLoopback() || c.Vantage.Foreign || c.Engine.Rootless || c.Engine.Desktop {
		ip = netip.IPv4Unspecified()
	}
	return facts.Binding{HostIP: ip, HostPort: r.To.Port}
}
