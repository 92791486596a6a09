package witness

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
)

// undecided is a connection that a round cannot tell from others.
const undecided facts.Seen = "undecided"

// sighting is what a round shows of a connection.
type sighting struct {
	facts.Sighting
	counted bool // it was not told from those of other clients, only counted
	byPort  bool // it has its client's address and port, and another client's may have them too
}

// decided says whether a round is enough, in which no other client was seen or some were.
func (s sighting) decided(quiet bool) bool {
	return s.Seen != undecided && (quiet || !s.counted) && !s.byPort
}

// sightings returns what a round shows of each connection. A connection that comes
// straight from its client has the client's address and port at the server too. Often it
// has them behind NAT as well, but then another client's connection may have the same port:
// the kernel gives one out for each destination. Those that a forwarder has in between are
// only counted.
func (r round) sightings() []sighting {
	sightings := make([]sighting, len(r.held))
	own, others, rest := r.match()
	for i, c := range own {
		sightings[i].Sighting = r.sighting(c)
		sightings[i].byPort = c.Local != r.held[i].Remote && len(others) > 0
	}
	counted := r.count(others, rest)
	for _, i := range rest {
		sightings[i] = sighting{Sighting: counted, counted: counted.Seen.Arrived()}
	}
	for i, h := range r.held {
		if h.Closed && sightings[i].Seen == facts.SeenAccepted {
			sightings[i].Seen = facts.SeenClosed // just after the look
		}
	}
	return sightings
}

// match finds the connections that come straight from their clients, by index. It also
// returns the others that have arrived, and the indices of those that were opened and are
// not among them.
func (r round) match() (own map[int]listening.Connection, others []listening.Connection, rest []int) {
	own, others = map[int]listening.Connection{}, r.arrived()
	for i, h := range r.held {
		if !h.Opened() {
			continue
		}
		at := slices.IndexFunc(others, func(c listening.Connection) bool { return r.same(c, h) })
		if at < 0 {
			rest = append(rest, i)
			continue
		}
		own[i] = others[at]
		others = slices.Delete(others, at, at+1)
	}
	return own, others, rest
}

// same says whether a connection at the server may be the one that a client holds.
func (r round) same(c listening.Connection, h netprobe.HeldConnection) bool {
	return c.Remote == h.Local && (c.Local == h.Remote || h.Closed || r.seen(c) != facts.SeenClosed)
}

// counts says whether connections have arrived that can only be counted.
func (r round) counts() bool {
	_, others, rest := r.match()
	return len(rest) > 0 && len(others) > 0
}

// count returns what a round shows of some connections, if that is the same for all:
// none has arrived; or as many as were opened have arrived, stayed, and gone when they
// were closed, or not gone since they are none. The others are connections that arrived
// meanwhile.
func (r round) count(others []listening.Connection, opened []int) facts.Sighting {
	switch {
	case len(opened) == 0 || r.during.Truncated || r.untraced() > 0:
	case len(others) == 0 && r.everArrived == 0 && !r.overflowed():
		return facts.Sighting{Seen: facts.SeenNothing}
	case len(others) == len(opened) && r.alike(others) && r.seen(others[0]) == facts.SeenDeferred && len(r.gone(r.closes())) == 0:
		return facts.Sighting{Seen: facts.SeenUnanswered}
	case len(others) == len(opened) && r.alike(others) && len(r.gone(r.closes())) == len(r.arrived()) &&
		(r.seen(others[0]) != facts.SeenClosed || r.closed(opened)):
		return r.sighting(others[0])
	}
	return facts.Sighting{Seen: undecided}
}

// overflowed says whether a full accept queue has dropped connections meanwhile that may be those
// that were opened: the other side sends again after a second. The counter is of all ports, so the
// queues of this one must have had no room for that many.
func (r round) overflowed() bool {
	if r.during.Counters.Overflows <= r.before.Counters.Overflows {
		return false
	}
	opened := uint64(r.opened()) //nolint:gosec // some
	return slices.ContainsFunc(slices.Concat(r.before.Queues, r.during.Queues), func(q listening.Queue) bool {
		return uint64(q.Length)+opened > uint64(q.Limit)
	})
}

// arrived returns the connections that were not there before. What was read later does
// not matter.
func (r round) arrived() []listening.Connection {
	return slices.DeleteFunc(slices.Clone(r.during.Connections), func(c listening.Connection) bool {
		return contains(r.before, c)
	})
}

// contains says whether a connection between the same addresses is in the traffic.
func contains(traffic listening.Traffic, c listening.Connection) bool {
	return slices.ContainsFunc(traffic.Connections, func(other listening.Connection) bool {
		return other.Local == c.Local && other.Remote == c.Remote
	})
}

// untraced returns how many connections of the namespace were established meanwhile, and
// are no longer in the list: the server has reset them, or they were short, or of another
// port.
func (r round) untraced() int {
	established := r.during.Counters.Opened - r.before.Counters.Opened
	return int(established) - len(r.arrived()) //nolint:gosec // a round is short
}

// outstanding says whether a connection that was opened has not arrived, and whether one
// that has arrived waits to be accepted.
func (r round) outstanding() (missing, waiting bool) {
	arrived := r.arrived()
	for _, c := range arrived {
		switch r.seen(c) {
		case facts.SeenWaiting:
			waiting = true
		case facts.SeenDeferred:
			missing = true // until it has had the time to complete the handshake
		}
	}
	return missing || len(arrived)+max(0, r.untraced()) < r.opened(), waiting
}

// opened returns how many connections were opened.
func (r round) opened() int {
	opened := 0
	for _, h := range r.held {
		if h.Opened() {
			opened++
		}
	}
	return opened
}

// closed says whether the other side has closed all of some connections.
func (r round) closed(indices []int) bool {
	return !slices.ContainsFunc(indices, func(i int) bool { return !r.held[i].Closed })
}

// alike says whether the same was seen of all connections.
func (r round) alike(all []listening.Connection) bool {
	return !slices.ContainsFunc(all, func(c listening.Connection) bool { return r.seen(c) != r.seen(all[0]) })
}

// closes says whether the other side closed some of the connections that were opened.
func (r round) closes() bool {
	return slices.ContainsFunc(r.held, func(h netprobe.HeldConnection) bool { return h.Closed })
}

// gone returns the connections that arrived in the round and are no longer open, with
// those that the server closed or without: if it closed none that was opened, they are of
// other clients.
func (r round) gone(closed bool) []listening.Connection {
	return slices.DeleteFunc(r.arrived(), func(c listening.Connection) bool {
		if !closed && r.seen(c) == facts.SeenClosed {
			return true
		}
		i := slices.IndexFunc(r.after.Connections, func(later listening.Connection) bool {
			return later.Local == c.Local && later.Remote == c.Remote
		})
		return i >= 0 && (r.after.Connections[i].State == listening.StateOpen || r.after.Connections[i].State == listening.StateHandshake)
	})
}

// most returns one of the connections of which the same was seen as of most of them.
func (r round) most(all []listening.Connection) listening.Connection {
	count := map[facts.Seen]int{}
	for _, c := range all {
		count[r.seen(c)]++
	}
	return slices.MaxFunc(all, func(a, b listening.Connection) int { return count[r.seen(a)] - count[r.seen(b)] })
}

func (r round) sighting(c listening.Connection) facts.Sighting {
	return facts.Sighting{Seen: r.seen(c), Peer: c.Remote.Addr()}
}

// seen says what became of a connection.
func (r round) seen(c listening.Connection) facts.Seen {
	switch {
	case c.Accepted:
		return facts.SeenAccepted
	case c.State == listening.StateServerClosed:
		return facts.SeenClosed
	case c.State == listening.StateHandshake && !slices.ContainsFunc(r.during.Queues, listening.Queue.Full):
		return facts.SeenDeferred
	default:
		return facts.SeenWaiting
	}
}
