// Package witness finds out whether a connection to an address arrives at a server. An
// accepted connection proves nothing: port forwarders accept for servers that are not
// there, and other processes answer at addresses that look right. So [Watch] holds
// connections open, and compares which connections the sockets of the server's network
// namespace show before and meanwhile.
//
// Nothing is sent over the connections. The server may have other clients: what cannot be
// told from their connections is reported as unknown.
package witness

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
)

// Reader reads the connections of a port in the server's network namespace.
type Reader interface {
	// Baseline lists no connections, and Traffic those that were not there at the baseline.
	Baseline(ctx context.Context, port uint16) (listening.Traffic, error)
	Traffic(ctx context.Context, port uint16) (listening.Traffic, error)
}

// Holder opens connections from one place and holds them open until release is called,
// which returns them with what has become of them.
type Holder interface {
	Hold(ctx context.Context, addresses []string, timeout time.Duration) (held []netprobe.HeldConnection, release func(context.Context) ([]netprobe.HeldConnection, error), err error)
}

// Address is an address, and the place from which to connect to it.
type Address struct {
	From    Holder
	Address string
}

// Here holds connections of this process.
type Here struct{}

// Hold implements Holder.
func (Here) Hold(ctx context.Context, addresses []string, timeout time.Duration) (held []netprobe.HeldConnection, release func(context.Context) ([]netprobe.HeldConnection, error), err error) {
	open := netprobe.Hold(ctx, addresses, netprobe.Options{Timeout: timeout})
	return open.Connections, func(context.Context) ([]netprobe.HeldConnection, error) {
		defer open.Close()
		return open.Look(), nil
	}, nil
}

// The times that a connection has.
const (
	// arrival is how long a connection may take at least to arrive at the server through a
	// port forwarder. A forwarder of a rootless engine needed 185 ms to find out that nothing
	// listens; one that reaches the server takes less. On a remote engine it has
	// arrivalFactor times as long as the witness takes to reply.
	arrival       = 400 * time.Millisecond
	arrivalFactor = 5

	// connecting is how long it may take at least to connect: the addresses have been
	// connected to before, and a lost first packet is sent again after 1 s (RFC 6298,
	// section 2). On Podman that was seen while another container was being started.
	connecting = 3 * time.Second

	// firstPause and longestPause are between two looks at the sockets.
	firstPause   = time.Millisecond
	longestPause = 20 * time.Millisecond
)

// Watch holds connections to addresses open, and returns what was seen of each at the
// server, in their order. An address that could not be connected to has an empty Seen. A
// connection that arrived may take as long as timeout to be accepted.
//
// All addresses are watched in one round. Those that the round does not decide are
// watched one by one.
func Watch(ctx context.Context, reader Reader, port uint16, addresses []Address, timeout time.Duration) ([]facts.Sighting, error) {
	w := watch{reader: reader, port: port, timeout: timeout, accepted: new(atomic.Bool)}
	first, quiet, err := w.quietRound(ctx, addresses)
	if err != nil {
		return nil, err
	}
	sightings := make([]facts.Sighting, len(addresses))
	for i, s := range first.sightings() {
		if !s.decided(quiet) || s.Seen == facts.SeenUnanswered { // or a forwarder is slow to close
			if s.Sighting, err = w.single(ctx, addresses[i]); err != nil {
				return nil, err
			}
		}
		sightings[i] = s.Sighting
		sightings[i].Address = addresses[i].Address
	}
	return sightings, w.oneByOne(ctx, addresses, sightings)
}

// oneByOne watches again, one by one, the connections that no process accepted: a server that
// handles one connection at a time accepts none while it has another one of the same round.
// It ends with the first that is not accepted, or if the accept queue does not become empty.
func (w watch) oneByOne(ctx context.Context, addresses []Address, sightings []facts.Sighting) error {
	for i := range sightings {
		if sightings[i].Seen != facts.SeenWaiting {
			continue
		}
		if empty, err := w.untilQueueIsEmpty(ctx); err != nil || !empty {
			return err
		}
		s, err := w.single(ctx, addresses[i])
		if err != nil || s.Seen == facts.SeenWaiting {
			return err
		}
		s.Address = sightings[i].Address
		sightings[i] = s
	}
	return nil
}

// drained is how long the accept queue may take to become empty, in time limits of one probe.
const drained = 10

// untilQueueIsEmpty waits until the server has accepted the connections of an earlier round,
// which are closed by now. It is false if the queue gets no shorter within the time limit, since
// the server accepts nothing, or does not become empty in time.
func (w watch) untilQueueIsEmpty(ctx context.Context) (bool, error) {
	var traffic listening.Traffic
	shortest, since := ^uint32(0), time.Duration(0)
	err := w.until(ctx, &traffic, func(waited time.Duration) bool {
		if length := queued(traffic); length < shortest {
			shortest, since = length, waited
		}
		return shortest == 0 || waited >= since+w.timeout || waited >= drained*w.timeout
	})
	return shortest == 0, err
}

// queued is how many connections wait to be accepted.
func queued(traffic listening.Traffic) (length uint32) {
	for _, q := range traffic.Queues {
		length += q.Length
	}
	return length
}

// quietRound is a round. If connections were only counted in it, it also says whether no
// other client came in as much time.
func (w watch) quietRound(ctx context.Context, addresses []Address) (r round, quiet bool, err error) {
	began := time.Now()
	if r, err = w.round(ctx, addresses); err != nil || !r.counts() {
		return r, true, err
	}
	others, err := w.countOthers(ctx, time.Since(began)-stay, r.closes())
	return r, others.all == 0, err
}

type watch struct {
	reader   Reader
	port     uint16
	timeout  time.Duration
	accepted *atomic.Bool // a process has accepted a connection that has come meanwhile
}

// note notes whether a process has accepted a connection.
func (w watch) note(r round) {
	if slices.ContainsFunc(r.arrived(), func(c listening.Connection) bool { return c.Accepted }) {
		w.accepted.Store(true)
	}
}

// round is one look at connections that are held open at the same time.
type round struct {
	before, during, after listening.Traffic
	held                  []netprobe.HeldConnection
	patience              time.Duration // for a connection to arrive
	everArrived           int           // how many arrived, with those that arrived later than most
}

// round opens a connection to each address, waits until all are seen and accepted, or
// have had the time for it, and closes them after they have stayed open.
func (w watch) round(ctx context.Context, addresses []Address) (r round, err error) {
	asked := time.Now()
	if r.before, err = w.reader.Baseline(ctx, w.port); err != nil {
		return r, err
	}
	r.patience = max(arrival, arrivalFactor*time.Since(asked))
	opened, err := hold(ctx, addresses, max(w.timeout, connecting))
	if err == nil {
		r.held = opened.connections
		err = w.untilAccepted(ctx, &r)
		w.note(r)
	}
	if err == nil && r.counts() {
		err = w.untilStayed(ctx, &r)
	}
	if releaseErr := opened.release(ctx); err == nil {
		err = releaseErr
	}
	if err == nil && r.counts() {
		err = w.untilGone(ctx, &r)
	}
	return r, err
}

// untilAccepted reads the traffic until nothing more is expected to happen.
func (w watch) untilAccepted(ctx context.Context, r *round) error {
	return w.until(ctx, &r.during, func(waited time.Duration) bool {
		switch missing, waiting := r.outstanding(); {
		case missing && len(r.during.Queues) == 0 && len(r.arrived()) == 0:
			return true // nothing listens on the port, so nothing can arrive
		case missing:
			return waited >= r.patience
		case waiting:
			return waited >= w.timeout
		default:
			return true
		}
	})
}

// stay is how long connections stay open after they have arrived: longer than those of
// most other clients.
const stay = 30 * time.Millisecond

// untilStayed waits, and forgets the connections that are not there any more, and those
// that have come meanwhile.
func (w watch) untilStayed(ctx context.Context, r *round) error {
	earlier := r.during
	err := w.until(ctx, &r.during, func(waited time.Duration) bool { return waited >= stay })
	r.everArrived = len(r.arrived())
	r.during.Connections = slices.DeleteFunc(r.during.Connections, func(c listening.Connection) bool { return !contains(earlier, c) })
	return err
}

// untilGone reads the traffic until as many of the connections that arrived are no longer
// open as were opened.
func (w watch) untilGone(ctx context.Context, r *round) error {
	return w.until(ctx, &r.after, func(waited time.Duration) bool {
		return waited >= r.patience/4 || len(r.gone(r.closes())) >= min(r.opened(), len(r.arrived()))
	})
}

// until reads the traffic until it is enough.
func (w watch) until(ctx context.Context, traffic *listening.Traffic, enough func(waited time.Duration) bool) error {
	began, pause := time.Now(), firstPause
	for {
		var err error
		if *traffic, err = w.reader.Traffic(ctx, w.port); err != nil || enough(time.Since(began)) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause = min(2*pause, longestPause)
	}
}

// held are the connections of a round, from several places.
type held struct {
	connections []netprobe.HeldConnection // in the order of the addresses
	releases    []func(context.Context) error
}

// hold opens a connection to each address, from all places in parallel.
func hold(ctx context.Context, addresses []Address, timeout time.Duration) (*held, error) {
	h := &held{connections: make([]netprobe.HeldConnection, len(addresses))}
	places := map[Holder][]int{} // indices into addresses
	for i, a := range addresses {
		places[a.From] = append(places[a.From], i)
	}
	releases := make(chan func(context.Context) error, len(places))
	var group errgroup.Group
	for from, indices := range places {
		group.Go(func() error {
			texts := make([]string, len(indices))
			for i, index := range indices {
				texts[i] = addresses[index].Address
			}
			opened, release, err := from.Hold(ctx, texts, timeout)
			if err != nil {
				return err
			}
			h.put(indices, opened)
			releases <- func(ctx context.Context) error {
				ended, err := release(ctx)
				h.put(indices, ended)
				return err
			}
			return nil
		})
	}
	err := group.Wait()
	close(releases)
	for release := range releases {
		h.releases = append(h.releases, release)
	}
	return h, err
}

func (h *held) put(indices []int, connections []netprobe.HeldConnection) {
	for i, c := range connections[:min(len(indices), len(connections))] {
		h.connections[indices[i]] = c
	}
}

// release closes the connections.
func (h *held) release(ctx context.Context) error {
	var group errgroup.Group
	for _, release := range h.releases {
		group.Go(func() error { return release(ctx) })
	}
	return group.Wait()
}
