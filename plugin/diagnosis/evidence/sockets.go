package evidence

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// OwnLoopback says whether a row leads a container to itself.
func (c *Case) OwnLoopback(r Row) bool {
	return (c.Vantage.Container || c.Vantage.Foreign) && IsLocalhost(r.Kind)
}

// serverHostResponded says whether the connection came as far as to be refused or
// closed, or accepted by a port forwarder only, so that the sockets of the server's
// network namespace matter.
func (c *Case) serverHostResponded(r Row) bool {
	return (Refused(r.Failure) || Closed(r.Failure) || c.AcceptedInVain(r)) && !c.OwnLoopback(r)
}

// IsToServer says whether a row should lead to the server, so that what listens there
// matters: if nothing does, no address works, however far the connection came. A name that
// was not found has a reason of its own.
func (c *Case) IsToServer(r Row) bool {
	if c.OwnLoopback(r) || c.Seen(r).Arrived() {
		return false
	}
	return c.serverHostResponded(r) || Unanswered(r.Failure)
}

// OnAnotherHost returns a probe that reached the server where a row leads to the
// engine's own host and nothing listens there: the host that is meant is another one.
func (c *Case) OnAnotherHost(r Row) (report.Probe, bool) {
	if !c.Server.Host || len(c.Server.PublishedBy) > 0 || c.Server.Listeners == nil || !c.Server.Listeners.None(c.Server.Port) || !c.serverHostResponded(r) {
		return report.Probe{}, false
	}
	i := slices.IndexFunc(c.Rows, func(other Row) bool { return other.OK && other.Address != r.Address })
	if i < 0 {
		return report.Probe{}, false
	}
	return c.Rows[i].Probe, true
}

// NotOnAddress says whether a row leads, or may lead, to one of the container's
// addresses at which the server does not listen, although it listens at others.
func (c *Case) NotOnAddress(r Row) bool {
	unserved := c.Server.Unserved()
	switch {
	case len(unserved) == 0 || !c.serverHostResponded(r):
		return false
	case r.Kind == report.KindContainerIP, r.Kind == report.KindContainerName:
		to := AddressesOf(r)
		return slices.ContainsFunc(unserved, func(n facts.Network) bool { return slices.Contains(to, n.IPv4) })
	case c.Engine.Rootless: // its gateways refuse for another reason
		return false
	default:
		return IsPublished(r.Kind) && Refused(r.Failure) && c.Server.Publishes(r.To.Port) && !c.Server.OnlyOnLoopback(r.To.Port)
	}
}
