package facts

import (
	"net/netip"

	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
)

// Sighting is what the witness in the server's network namespace saw of a connection that
// was held open to an address.
type Sighting struct {
	Address string // as its probe has it
	Seen    Seen
	Peer    netip.Addr // from which it came; not valid if that is not known
}

// Seen is what became of a connection at the server.
type Seen string

// What a witness can see of a connection.
const (
	SeenAccepted Seen = "accepted" // a process has accepted it
	SeenClosed   Seen = "closed"   // it arrived, and the server has closed it
	// SeenDeferred: it arrived, and the kernel hands it to the process when the client has
	// sent something (TCP_DEFER_ACCEPT).
	SeenDeferred Seen = "deferred"
	SeenWaiting  Seen = "waiting" // it arrived, and no process accepts it
	// SeenUnanswered: its first packet arrived, and the server's answers do not come back to
	// whoever sent it, so that there is no connection.
	SeenUnanswered Seen = "unanswered"
	SeenNothing    Seen = "nothing" // it did not arrive at the server
	SeenUnknown    Seen = "unknown" // whether it arrived cannot be told
	// SeenAmongOthers: processes accept such connections there, but it cannot be told from
	// those of other clients, or the server from other servers.
	SeenAmongOthers Seen = "among others"
)

// Arrived says whether the connection was seen at the server.
func (s Seen) Arrived() bool {
	return s == SeenAccepted || s == SeenClosed || s == SeenDeferred || s == SeenWaiting
}

// Watched is what the witness saw: of each address that was probed from one vantage, and
// of the accept queues of the server's port.
type Watched struct {
	Sightings []Sighting
	Queues    []listening.Queue
}

// Of returns what was seen of the connection to an address; empty if nobody looked.
func (w Watched) Of(address string) Sighting {
	for _, s := range w.Sightings {
		if s.Address == address {
			return s
		}
	}
	return Sighting{}
}
