package diagnosis

import (
	"net/netip"
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// seen is what the witness saw at the server of a connection to a row's address; empty if
// nobody looked.
func (c *vantageCase) seen(r row) facts.Seen { return c.vantage.Watched.Of(r.Address).Seen }

// acceptedInVain says whether a row's connection was accepted, did not arrive at the
// server, and had no answer.
func (c *vantageCase) acceptedInVain(r row) bool {
	seen := c.seen(r)
	return (seen == facts.SeenNothing || seen == facts.SeenUnanswered) && (closed(r.Failure) || silent(r.Failure))
}

// unanswered says whether packets from the vantage arrive at the server, and its answers do
// not come back.
func (c *vantageCase) unanswered() bool {
	return slices.ContainsFunc(c.vantage.Watched.Sightings, func(s facts.Sighting) bool { return s.Seen == facts.SeenUnanswered })
}

// fullQueue returns the accept queue of the server's port that takes no more connections.
func (c *vantageCase) fullQueue() (listening.Queue, bool) {
	i := slices.IndexFunc(c.Server.Queues, listening.Queue.Full)
	if i < 0 {
		return listening.Queue{}, false
	}
	return c.Server.Queues[i], true
}

// served says whether the server is known to listen for connections to a row's address. A
// name stands for the addresses that it has.
func (c *vantageCase) served(r row) bool {
	if c.Server.Listeners == nil {
		return false
	}
	for _, ip := range addressesOf(r) {
		if c.Server.Listeners.Serves(netip.AddrPortFrom(ip, c.Server.Port)) && !c.lostAddress(ip) {
			return true
		}
	}
	return false
}

// lostAddress says whether the engine says of an address that it is the server's container's,
// which does not have it.
func (c *vantageCase) lostAddress(ip netip.Addr) bool {
	_, own := c.Server.NetworkWith(ip)
	return own && c.Server.Listeners != nil && c.Server.Listeners.LacksAddress(ip)
}

// addressesOf returns the address of a row, or those of its name.
func addressesOf(r row) []netip.Addr {
	if r.to.ip.IsValid() {
		return []netip.Addr{r.to.ip}
	}
	var all []netip.Addr
	for _, text := range r.Resolved {
		if ip, err := netip.ParseAddr(text); err == nil {
			all = append(all, ip)
		}
	}
	return all
}

// machineReaches says whether a connection from this machine to the server's own address
// was established.
func (c *vantageCase) machineReaches() bool {
	return slices.ContainsFunc(c.all, func(p report.Probe) bool {
		return p.Kind == report.KindContainerIP && p.Vantage == machine && (p.OK || p.Phase.After(netprobe.PhaseConnect))
	})
}

// machine is the vantage of the machine of this process.
const machine = "host"
