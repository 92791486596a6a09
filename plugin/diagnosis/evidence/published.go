package evidence

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// IsLocalhost says whether the address is a published port at a loopback or unspecified address.
func IsLocalhost(kind report.Kind) bool {
	return kind == report.KindPublishedLocalhost || kind == report.KindPublishedAny
}

// IsEngineHost says whether the address is a published port at an address or name of the
// engine's host.
func IsEngineHost(kind report.Kind) bool {
	return kind == report.KindPublishedGateway || kind == report.KindPublishedHostAlias || kind == report.KindPublishedEngineHost
}

// IsPublished says whether a row leads to a published port.
func IsPublished(kind report.Kind) bool { return IsLocalhost(kind) || IsEngineHost(kind) }

// ToThisMachine says whether a row leads to loopback of this machine, and no port
// forwarder accepted there.
func (c *Case) ToThisMachine(r Row) bool {
	return IsLocalhost(r.Kind) && !c.Vantage.Container && !c.Vantage.Foreign && !Closed(r.Failure) && r.Failure != netprobe.WrongServer
}

// ToEngineHost says whether a row leads to another address of the engine's host, and
// no port forwarder accepted there.
func (c *Case) ToEngineHost(r Row) bool {
	return IsEngineHost(r.Kind) && !Closed(r.Failure) && r.Failure != netprobe.WrongServer && !AliasNotFound(r) && !c.ToForeignHost(r)
}

// ToServerOnHost says whether a row leads to a server that runs on the engine's host.
func (c *Case) ToServerOnHost(r Row) bool {
	toHost := r.Kind == report.KindHostGateway || r.Kind == report.KindHostAlias || r.Kind == report.KindHostAddress
	return toHost && !AliasNotFound(r) && !c.ToForeignHost(r)
}

// ToForeignHost says whether a row leads to the host of a container that the server's engine
// does not run, which need not be the host of that engine.
func (c *Case) ToForeignHost(r Row) bool {
	switch r.Kind {
	case report.KindHostGateway, report.KindHostAlias, report.KindPublishedGateway, report.KindPublishedHostAlias:
		return c.Vantage.Foreign
	default:
		return false
	}
}

// AliasNotFound says whether the name of a row is one for the host, and has no
// address.
func AliasNotFound(r Row) bool {
	return Unnamed(r.Failure) && (r.Kind == report.KindPublishedHostAlias || r.Kind == report.KindHostAlias)
}

// DroppedAtEngineHost says whether packets to a published port were dropped, and not
// for where the gateway is or which addresses the vantage has.
func (c *Case) DroppedAtEngineHost(r Row) bool {
	if r.To.IP.IsValid() && r.To.IP == c.Server.UnknownAddress {
		return false
	}
	if !c.ToEngineHost(r) || !Dropped(r.Failure) || r.NotSent || c.Vantage.LacksFamily(r.To.IP) || c.NotExpected(r) {
		return false
	}
	if r.Kind == report.KindPublishedEngineHost && r.Failure == netprobe.Unreachable {
		return false // no route: the engine may run in a VM that does not say so
	}
	_, _, remote := c.RemoteGateway(r)
	_, elsewhere := c.AliasLeadsElsewhere(r)
	return !remote && !elsewhere
}

// PublishIgnored says whether the engine was to publish the port, and has not.
func PublishIgnored(s facts.Server) bool {
	return s.PublishRequested && len(s.Bindings) == 0 && !s.NoNetwork
}

// NeedsBinding says whether it takes a published port to reach a container that has
// none. A client on one of its networks can use its address.
func (c *Case) NeedsBinding() bool {
	s := c.Server
	return len(s.Bindings) == 0 && !s.HostNetwork && (!c.Vantage.Container || len(c.Vantage.SharedNetworks(s)) == 0)
}

// HasAlias says whether the vantage has another name for its host. Each product has names
// of its own, and nobody misses those of the others.
func (c *Case) HasAlias() bool {
	return slices.ContainsFunc(c.Rows, func(r Row) bool {
		alias := r.Kind == report.KindPublishedHostAlias || r.Kind == report.KindHostAlias
		return alias && !Unnamed(r.Failure)
	})
}

// PublishedForIPv4 says whether a client that has only IPv4 can use a published port.
func (c *Case) PublishedForIPv4() bool {
	return slices.ContainsFunc(c.Server.Bindings, func(b facts.Binding) bool { return b.HostIP.Is4() })
}

// AliasLeadsElsewhere returns an address of the engine's host at which the port answers from
// the same container, if a name for the host leads to another one that does not.
func (c *Case) AliasLeadsElsewhere(r Row) (works string, ok bool) {
	resolved := AddressesOf(r)
	if !c.Vantage.Container || r.Kind != report.KindPublishedHostAlias && r.Kind != report.KindHostAlias || len(resolved) == 0 || c.Engine.Rootless || c.Engine.Desktop {
		return "", false
	}
	for _, ip := range resolved {
		if !c.Server.PublishedAt(ip, r.To.Port) && !c.Server.Host {
			return "", false // it is not published there, wherever that is
		}
	}
	i := slices.IndexFunc(c.Rows, func(o Row) bool {
		return o.OK && o.To.Port == r.To.Port && o.To.IP.IsValid() && (IsEngineHost(o.Kind) || o.Kind == report.KindHostGateway) && !slices.Contains(resolved, o.To.IP)
	})
	if i < 0 {
		return "", false
	}
	return c.Rows[i].Address, true
}
