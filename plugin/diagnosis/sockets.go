package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ownLoopback says whether a row leads a container to itself.
func (c *vantageCase) ownLoopback(r row) bool {
	return (c.vantage.Container || c.vantage.Foreign) && isLocalhost(r.Kind)
}

// serverHostResponded says whether the connection came as far as to be refused or
// closed, or accepted by a port forwarder only, so that the sockets of the server's
// network namespace matter.
func (c *vantageCase) serverHostResponded(r row) bool {
	return (refused(r.Failure) || closed(r.Failure) || c.acceptedInVain(r)) && !c.ownLoopback(r)
}

// isToServer says whether a row should lead to the server, so that what listens there
// matters: if nothing does, no address works, however far the connection came. A name that
// was not found has a reason of its own.
func (c *vantageCase) isToServer(r row) bool {
	if c.ownLoopback(r) || c.seen(r).Arrived() {
		return false
	}
	return c.serverHostResponded(r) || Unanswered(r.Failure)
}

// onAnotherHost returns a probe that reached the server where a row leads to the
// engine's own host and nothing listens there: the host that is meant is another one.
func (c *vantageCase) onAnotherHost(r row) (report.Probe, bool) {
	if !c.Server.Host || len(c.Server.PublishedBy) > 0 || !listeners(c) || !c.Server.Listeners.None(c.Server.Port) || !c.serverHostResponded(r) {
		return report.Probe{}, false
	}
	i := slices.IndexFunc(c.rows, func(other row) bool { return other.OK && other.Address != r.Address })
	if i < 0 {
		return report.Probe{}, false
	}
	return c.rows[i].Probe, true
}

// notOnAddress says whether a row leads, or may lead, to one of the container's
// addresses at which the server does not listen, although it listens at others.
func (c *vantageCase) notOnAddress(r row) bool {
	unserved := c.Server.Unserved()
	switch {
	case len(unserved) == 0 || !c.serverHostResponded(r):
		return false
	case r.Kind == report.KindContainerIP:
		return slices.ContainsFunc(unserved, func(n facts.Network) bool { return n.IPv4 == r.to.ip })
	case c.Engine.Rootless: // its gateways refuse for another reason
		return false
	default:
		return isPublished(r.Kind) && refused(r.Failure) && c.Server.Publishes(r.to.port) && !c.Server.OnlyOnLoopback(r.to.port)
	}
}

// everywhere is what to do about a server that does not listen on all of its addresses.
func everywhere(s facts.Server) string {
	if s.ListensOnlyOnIPv6() {
		return "have the server listen on 0.0.0.0 too, or on [::] for both: it has limited its socket to IPv6 (IPV6_V6ONLY)"
	}
	return listenEverywhere
}

const listenEverywhere = "have the server listen on 0.0.0.0, so that it serves every address of its container: the engine forwards to one of them"

// unservedAddresses says at which addresses of its container the server does not
// listen.
func unservedAddresses(s facts.Server) string {
	unserved := s.Unserved()
	addresses := make([]string, len(unserved))
	for i, n := range unserved {
		addresses[i] = fmt.Sprintf("%s on network %s", n.IPv4, n.Name)
	}
	return fmt.Sprintf("in the container, %s, and nothing at its address %s", onlyListeners(s), strings.Join(addresses, ", "))
}
