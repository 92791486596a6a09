package diagnosis

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ForwarderAcceptsAlone follows from how a port forwarder works: it accepts, and closes
// when what it forwards to refuses.
var ForwarderAcceptsAlone = define("forwarder-accepts-alone", networkSetting, definition{
	title:    "A port forwarder accepts, but nothing listens behind it",
	explains: []report.Cause{DirectRoutingBlocked},
	shownBy:  ListenersCheck,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		if c.ToServerOnHost(r) && evidence.Closed(r.Failure) && len(c.Server.PublishedBy) > 0 {
			return c.forwarderOnHost()
		}
		if len(c.Server.PublishedBy) > 0 {
			return c.forwarderOfHost(r)
		}
		closes := evidence.IsPublished(r.Kind) && (evidence.Closed(r.Failure) || c.AcceptedInVain(r)) && !c.OwnLoopback(r)
		if !closes && (!c.NotOnAddress(r) || !c.forwarderCloses()) || c.Server.HostNetwork || c.Server.Serves() || c.Seen(r).Arrived() || !listeners(c) && c.answersSomewhere() {
			return nil // or the server itself closes, or something listens
		}
		return c.forwarder(r)
	},
})

// forwarderOfHost is the fault of a port of the engine's host that a container publishes,
// and that accepts and closes.
func (c *vantageCase) forwarderOfHost(r evidence.Row) *report.Fault {
	if !c.ToServerOnHost(r) || !evidence.Closed(r.Failure) && !c.AcceptedInVain(r) || c.Seen(r).Arrived() {
		return nil
	}
	fault := because("container %s publishes port %d, where a port forwarder accepts, and no server gets the connection", c.Server.PublishedBy[0], c.Server.Port)
	suggest(fault, "find out why the server in the container does not answer")
	fault.Commands = command("docker nestprobe diagnose %s", c.Server.PublishedBy[0])
	return fault
}

func (c *vantageCase) forwarder(r evidence.Row) *report.Fault {
	fault := because("the published port accepts and closes, as a port forwarder does with nothing behind it")
	if c.AcceptedInVain(r) {
		fault = because("the published port accepts, but the connection does not arrive at the server, as with a port forwarder that has nothing behind it")
	}
	suggest(fault, "check that the server listens on port %d at the address that the engine forwards to", c.Server.Port)
	for _, other := range c.AllProbes {
		if other.Kind == report.KindContainerIP && !other.OK && evidence.Refused(other.Failure) {
			also(fault, "from %s: the container's own address %s refuses", other.Vantage, other.Address)
		}
	}
	if len(c.Server.Unserved()) > 0 {
		also(fault, "%s", evidence.UnservedAddresses(c.Server))
		fault.Hint = everywhere(c.Server)
	}
	return fault
}

// forwarderOnHost is about a port of the engine's host that a container publishes.
func (c *vantageCase) forwarderOnHost() *report.Fault {
	fault := because("port %d of the host accepts and closes: it is published, and the forwarder has nothing behind it that answers", c.Server.Port)
	publishers := c.Server.PublishedBy
	also(fault, "it is published by %s", evidence.Join(publishers))
	suggest(fault, "find out what the server in container %s does: it is to listen on port %d there, at every address", publishers[0].Container, publishers[0].Port)
	fault.Commands = command("docker nestprobe diagnose %s", publishers[0])
	return fault
}

// answersSomewhere says whether the server is reached from some vantage.
func (c *vantageCase) answersSomewhere() bool {
	return slices.ContainsFunc(c.AllProbes, func(p report.Probe) bool { return p.OK })
}

// forwarderCloses says whether a published port was seen to accept and close.
func (c *vantageCase) forwarderCloses() bool {
	return slices.ContainsFunc(c.AllProbes, func(p report.Probe) bool { return evidence.IsPublished(p.Kind) && evidence.Closed(p.Failure) })
}
