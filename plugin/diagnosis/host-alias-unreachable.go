package diagnosis

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var HostAliasUnreachable = define("host-alias-unreachable", addressOnly, definition{
	title:    "The container's name for its host leads elsewhere",
	hint:     "use one of the host's own addresses instead",
	explains: []report.Cause{HostAliasMissing, LocalhostIsThisContainer},
	rule: func(c *vantageCase, r row) *report.Fault {
		other, otherHost := c.onAnotherHost(r)
		works, elsewhere := c.aliasLeadsElsewhere(r)
		switch {
		case elsewhere:
			fault := because("%s leads to %s, and the same port answers at %s", r.to.host, join(addressesOf(r)), works)
			fault.Hint = "create the client container anew with --add-host " + r.to.host + ":" + c.hostAddress() + ", or use " + works
			return fault
		case otherHost:
			fault := because("nothing listens on port %d of the engine's host, and the server answers at %s", r.to.port, other.Address)
			fault.Hint = "use " + other.Address + ": the server runs on another machine than the engine"
			return fault
		case refused(r.Failure) && (len(c.Server.PublishedBy) == 0 || c.Engine.Rootless): // else the container may refuse
			return c.refusedByAlias(r)
		default:
			return nil
		}
	},
})

// aliasLeadsElsewhere returns an address of the engine's host at which the port answers from
// the same container, if a name for the host leads to another one that does not.
func (c *vantageCase) aliasLeadsElsewhere(r row) (works string, ok bool) {
	resolved := addressesOf(r)
	if !c.vantage.Container || r.Kind != report.KindPublishedHostAlias && r.Kind != report.KindHostAlias || len(resolved) == 0 || c.Engine.Rootless || c.Engine.Desktop {
		return "", false
	}
	for _, ip := range resolved {
		if !c.Server.PublishedAt(ip, r.to.port) && !c.Server.Host {
			return "", false // it is not published there, wherever that is
		}
	}
	i := slices.IndexFunc(c.rows, func(o row) bool {
		return o.OK && o.to.port == r.to.port && o.to.ip.IsValid() && (isEngineHost(o.Kind) || o.Kind == report.KindHostGateway) && !slices.Contains(resolved, o.to.ip)
	})
	if i < 0 {
		return "", false
	}
	return c.rows[i].Address, true
}

// refusedByAlias: an address that should be the host's refuses what listens there.
func (c *vantageCase) refusedByAlias(r row) *report.Fault {
	fault := &report.Fault{}
	switch {
	case r.Kind == report.KindHostGateway || r.Kind == report.KindHostAlias:
		if listeners(c) {
			if len(c.Server.PublishedBy) > 0 && !c.Engine.Rootless {
				return nil // packets may lead to the container whatever listens on the host, and that refuses
			}
			fault = because("on the host, %s, and %s refuses", listenersOn(c.Server), r.to.host)
		}
	case r.Kind == report.KindPublishedHostAlias && c.vantage.Container || isEngineHost(r.Kind) && c.Engine.Rootless:
		fault = because("%s of the engine's host, and nothing listens where %s leads", publishedAt(c.Server), r.to.host)
	default:
		return nil
	}
	if c.Engine.Rootless {
		also(fault, "the gateways of a rootless engine belong to its own network namespace, not to the host")
	}
	return fault
}
