package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var HostAliasUnreachable = define("host-alias-unreachable", addressOnly, definition{
	title:    "The container's name for its host leads elsewhere",
	hint:     "use one of the host's own addresses instead",
	explains: []report.Cause{HostAliasMissing, LocalhostIsThisContainer},
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		other, otherHost := c.OnAnotherHost(r)
		works, elsewhere := c.AliasLeadsElsewhere(r)
		switch {
		case elsewhere:
			fault := because("%s leads to %s, and the same port answers at %s", r.To.Host, evidence.Join(evidence.AddressesOf(r)), works)
			fault.Hint = "create the client container anew with --add-host " + r.To.Host + ":" + c.hostAddress() + ", or use " + works
			return fault
		case otherHost:
			fault := because("nothing listens on port %d of the engine's host, and the server answers at %s", r.To.Port, other.Address)
			fault.Hint = "use " + other.Address + ": the server runs on another machine than the engine"
			return fault
		case evidence.Refused(r.Failure) && (len(c.Server.PublishedBy) == 0 || c.Engine.Rootless): // else the container may refuse
			return c.refusedByAlias(r)
		default:
			return nil
		}
	},
})

// refusedByAlias: an address that should be the host's refuses what listens there.
func (c *vantageCase) refusedByAlias(r evidence.Row) *report.Fault {
	fault := &report.Fault{}
	switch {
	case r.Kind == report.KindHostGateway || r.Kind == report.KindHostAlias:
		if listeners(c) {
			if len(c.Server.PublishedBy) > 0 && !c.Engine.Rootless {
				return nil // packets may lead to the container whatever listens on the host, and that refuses
			}
			fault = because("on the host, %s, and %s refuses", evidence.ListenersOn(c.Server), r.To.Host)
		}
	case r.Kind == report.KindPublishedHostAlias && c.Vantage.Container || evidence.IsEngineHost(r.Kind) && c.Engine.Rootless:
		fault = because("%s of the engine's host, and nothing listens where %s leads", evidence.PublishedAt(c.Server), r.To.Host)
	default:
		return nil
	}
	if c.Engine.Rootless {
		also(fault, "the gateways of a rootless engine belong to its own network namespace, not to the host")
	}
	return fault
}
