package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func isLocalhost(kind report.Kind) bool {
	return kind == report.KindPublishedLocalhost || kind == report.KindPublishedAny
}

func isEngineHost(kind report.Kind) bool {
	return kind == report.KindPublishedGateway || kind == report.KindPublishedHostAlias || kind == report.KindPublishedEngineHost
}

// isPublished says whether a row leads to a published port.
func isPublished(kind report.Kind) bool { return isLocalhost(kind) || isEngineHost(kind) }

// toThisMachine says whether a row leads to loopback of this machine, and no port
// forwarder accepted there.
func (c *vantageCase) toThisMachine(r row) bool {
	return isLocalhost(r.Kind) && !c.vantage.Container && !c.vantage.Foreign && !closed(r.Failure) && r.Failure != netprobe.WrongServer
}

// toEngineHost says whether a row leads to another address of the engine's host, and
// no port forwarder accepted there.
func (c *vantageCase) toEngineHost(r row) bool {
	return isEngineHost(r.Kind) && !closed(r.Failure) && r.Failure != netprobe.WrongServer && !aliasNotFound(r) && !c.toForeignHost(r)
}

// toServerOnHost says whether a row leads to a server that runs on the engine's host.
func (c *vantageCase) toServerOnHost(r row) bool {
	toHost := r.Kind == report.KindHostGateway || r.Kind == report.KindHostAlias || r.Kind == report.KindHostAddress
	return toHost && !aliasNotFound(r) && !c.toForeignHost(r)
}

// toForeignHost says whether a row leads to the host of a container that the server's engine
// does not run, which need not be the host of that engine.
func (c *vantageCase) toForeignHost(r row) bool {
	switch r.Kind {
	case report.KindHostGateway, report.KindHostAlias, report.KindPublishedGateway, report.KindPublishedHostAlias:
		return c.vantage.Foreign
	default:
		return false
	}
}

// aliasNotFound says whether the name of a row is one for the host, and has no
// address.
func aliasNotFound(r row) bool {
	return Unnamed(r.Failure) && (r.Kind == report.KindPublishedHostAlias || r.Kind == report.KindHostAlias)
}

// droppedAtEngineHost says whether packets to a published port were dropped, and not
// for where the gateway is or which addresses the vantage has.
func (c *vantageCase) droppedAtEngineHost(r row) bool {
	if !c.toEngineHost(r) || !dropped(r.Failure) || r.NotSent || c.vantage.LacksFamily(r.to.ip) || c.notExpected(r) {
		return false
	}
	if r.Kind == report.KindPublishedEngineHost && r.Failure == netprobe.Unreachable {
		return false // no route: the engine may run in a VM that does not say so
	}
	_, _, remote := c.remoteGateway(r)
	_, elsewhere := c.aliasLeadsElsewhere(r)
	return !remote && !elsewhere
}

// publishIgnored says whether the engine was to publish the port, and has not.
func publishIgnored(s facts.Server) bool {
	return s.PublishRequested && len(s.Bindings) == 0 && !s.NoNetwork
}

// needsBinding says whether it takes a published port to reach a container that has
// none. A client on one of its networks can use its address.
func (c *vantageCase) needsBinding() bool {
	s := c.Server
	return len(s.Bindings) == 0 && !s.HostNetwork && (!c.vantage.Container || len(c.vantage.SharedNetworks(s)) == 0)
}
