package evidence

import (
	"net/netip"
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Seen is what the witness saw at the server of a connection to a row's address; empty if
// nobody looked.
func (c *Case) Seen(r Row) facts.Seen { return c.Vantage.Watched.Of(r.Address).Seen }

// AcceptedInVain says whether a row's connection was accepted, did not arrive at the
// server, and had no answer.
func (c *Case) AcceptedInVain(r Row) bool {
	seen := c.Seen(r)
	return (seen == facts.SeenNothing || seen == facts.SeenUnanswered) && (Closed(r.Failure) || Silent(r.Failure))
}

// Unanswered says whether packets from the vantage arrive at the server, and its answers do
// not come back.
func (c *Case) Unanswered() bool {
	return slices.ContainsFunc(c.Vantage.Watched.Sightings, func(s facts.Sighting) bool { return s.Seen == facts.SeenUnanswered })
}

// FullQueue returns the accept queue of the server's port that takes no more connections.
func (c *Case) FullQueue() (listening.Queue, bool) {
	i := slices.IndexFunc(c.Server.Queues, listening.Queue.Full)
	if i < 0 {
		return listening.Queue{}, false
	}
	return c.Server.Queues[i], true
}

// Served says whether the server is known to listen for connections to a row's address. A
// name stands for the addresses that it has.
func (c *Case) Served(r Row) bool {
	if c.Server.Listeners == nil {
		return false
	}
	for _, ip := range AddressesOf(r) {
		if c.Server.Listeners.Serves(netip.AddrPortFrom(ip, c.Server.Port)) && !c.LostAddress(ip) {
			return true
		}
	}
	return false
}

// LostAddress says whether the engine says of an address that it is the server's container's,
// which does not have it.
func (c *Case) LostAddress(ip netip.Addr) bool {
	_, own := c.Server.NetworkWith(ip)
	return own && c.Server.Listeners != nil && c.Server.Listeners.LacksAddress(ip)
}

// AddressesOf returns the address of a row, or those of its name.
func AddressesOf(r Row) []netip.Addr {
	if r.To.IP.IsValid() {
		return []netip.Addr{r.To.IP}
	}
	var all []netip.Addr
	for _, text := range r.Resolved {
		if ip, err := netip.ParseAddr(text); err == nil {
			all = append(all, ip)
		}
	}
	return all
}

// MachineReaches says whether a connection from this machine to the server's own address
// was established.
func (c *Case) MachineReaches() bool {
	return slices.ContainsFunc(c.AllProbes, func(p report.Probe) bool {
		return p.Kind == report.KindContainerIP && p.Vantage == report.VantageHost && (p.OK || p.Phase.After(netprobe.PhaseConnect))
	})
}
