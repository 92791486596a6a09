package witness

import (
	"context"
	"slices"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
)

// WatchOwn is [Watch] for a server that shares its network namespace with others: the host's,
// or that of another container. Connections to sockets that are not among its own have not
// arrived at it. If its own are not known, it is [facts.SeenAmongOthers] at best.
func WatchOwn(ctx context.Context, reader Reader, own listening.Listeners, port uint16, addresses []Address, timeout time.Duration) ([]facts.Sighting, error) {
	known := !own.Unowned && !own.Truncated
	if known {
		reader = ownReader{reader, own}
	}
	sightings, err := Watch(ctx, reader, port, addresses, timeout)
	for i := range sightings {
		if !known && sightings[i].Seen.Arrived() {
			sightings[i].Seen = facts.SeenAmongOthers
		}
	}
	return sightings, err
}

// ownReader leaves out the connections to sockets that are not the server's.
type ownReader struct {
	Reader

	own listening.Listeners
}

func (r ownReader) Baseline(ctx context.Context, port uint16) (listening.Traffic, error) {
	traffic, err := r.Reader.Baseline(ctx, port)
	return r.leaveOut(traffic), err
}

func (r ownReader) Traffic(ctx context.Context, port uint16) (listening.Traffic, error) {
	traffic, err := r.Reader.Traffic(ctx, port)
	return r.leaveOut(traffic), err
}

func (r ownReader) leaveOut(traffic listening.Traffic) listening.Traffic {
	listed := len(traffic.Connections)
	traffic.Connections = slices.DeleteFunc(traffic.Connections, func(c listening.Connection) bool { return !r.own.Serves(c.Local) })
	traffic.Queues = slices.DeleteFunc(traffic.Queues, func(q listening.Queue) bool { return !r.own.Has(q.Address) })
	others := uint64(listed - len(traffic.Connections)) //nolint:gosec // not negative
	traffic.Counters.Opened -= min(others, traffic.Counters.Opened)
	return traffic
}
