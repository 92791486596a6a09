package witness

import (
	"context"
	"slices"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
)

// Bounds for an address of a server that has other clients.
const (
	rounds           = 4
	roundsThatAgree  = 2  // of them must show that the connections arrive, if the server has other clients
	roundConnections = 10 // of a round: so many others do not arrive, stay and close together by chance
	maxOthers        = 5  // connections of others that do the same in a round without any: too many to tell
)

// single watches one address, if necessary with several connections and in several
// rounds. If they do not tell, the server accepts connections or does not.
func (w watch) single(ctx context.Context, address Address) (facts.Sighting, error) {
	s, err := w.inSeveralRounds(ctx, address)
	if s.Seen == facts.SeenUnknown && w.accepted.Load() {
		s.Seen = facts.SeenAmongOthers
	}
	return s, err
}

// inSeveralRounds is unknown if the rounds do not tell.
func (w watch) inSeveralRounds(ctx context.Context, address Address) (facts.Sighting, error) {
	r, quiet, err := w.roomyRound(ctx, address)
	if err != nil {
		return facts.Sighting{}, err
	}
	s := r.sightings()[0]
	if s.byPort { // another client's connection does not have the same port twice by chance
		if r, quiet, err = w.quietRound(ctx, []Address{address}); err != nil {
			return facts.Sighting{}, err
		}
		if again := r.sightings()[0]; again.byPort && again.Seen == s.Seen || again.decided(quiet) {
			return again.Sighting, nil
		}
	}
	if s.decided(quiet) {
		return s.Sighting, nil
	}
	for arrived, n := 0, 0; n < rounds; n++ {
		s, quiet, err := w.manyAtOnce(ctx, address)
		if err != nil || s.Seen == facts.SeenNothing {
			return s, err
		}
		if s.Seen.Arrived() {
			arrived++
		}
		if quiet || arrived == roundsThatAgree {
			return s, nil
		}
	}
	return facts.Sighting{Seen: facts.SeenUnknown}, nil
}

// roomyRound is a quiet round, after the accept queue has become empty if connections were dropped
// because it was full.
func (w watch) roomyRound(ctx context.Context, address Address) (r round, quiet bool, err error) {
	r, quiet, err = w.quietRound(ctx, []Address{address})
	if err != nil || !r.overflowed() {
		return r, quiet, err
	}
	if empty, err := w.untilQueueIsEmpty(ctx); err != nil || !empty {
		return r, quiet, err
	}
	return w.quietRound(ctx, []Address{address})
}

// manyAtOnce watches several connections to one address that are opened and closed
// together. If the server has other clients too, they are still seen to arrive, stay and
// close. It also says whether it saw no connection of other clients.
func (w watch) manyAtOnce(ctx context.Context, address Address) (s facts.Sighting, quiet bool, err error) {
	var room listening.Traffic
	if room, err = w.reader.Traffic(ctx, w.port); err != nil {
		return s, false, err
	}
	connections := roundConnections
	for _, q := range room.Queues {
		connections = min(connections, max(1, int(q.Limit))) // or some are dropped
	}
	began := time.Now()
	r, err := w.round(ctx, slices.Repeat([]Address{address}, connections))
	if err != nil {
		return s, false, err
	}
	opened, arrived := r.opened(), len(r.arrived())
	reset := arrived < opened // by the server, which leaves no trace but the count
	switch {
	case opened < connections || r.during.Truncated || r.overflowed():
		return facts.Sighting{Seen: facts.SeenUnknown}, false, nil
	case max(r.everArrived, arrived+max(0, r.untraced())) < opened:
		return facts.Sighting{Seen: facts.SeenNothing}, false, nil // or all of them would be here
	case reset && (r.everArrived >= opened || !r.closed(all(opened))), !reset && len(r.gone(r.closes())) < opened:
		return facts.Sighting{Seen: facts.SeenUnknown}, false, nil
	}
	others, err := w.countOthers(ctx, time.Since(began), r.closes())
	switch {
	case err != nil, !reset && others.alike >= maxOthers, reset && others.all >= maxOthers:
		return facts.Sighting{Seen: facts.SeenUnknown}, false, err
	case reset:
		return facts.Sighting{Seen: facts.SeenClosed}, others.all == 0, nil
	default:
		return r.sighting(r.most(r.gone(r.closes()))), others.all == 0, nil
	}
}

// all returns the indices below n.
func all(n int) []int {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	return indices
}

// otherClients are connections of other clients.
type otherClients struct {
	all   int
	alike int // of those, the ones that arrive, stay and close as the connections of a round do
}

// countOthers counts the connections of other clients in a round without connections of its
// own that takes as long. It says whether connections that the server closes are alike.
func (w watch) countOthers(ctx context.Context, took time.Duration, closes bool) (found otherClients, err error) {
	var r round
	if r.before, err = w.reader.Baseline(ctx, w.port); err != nil {
		return found, err
	}
	after := func(d time.Duration) func(time.Duration) bool {
		return func(waited time.Duration) bool {
			found.all = max(found.all, len(r.arrived())+max(0, r.untraced()))
			w.note(r)
			return waited >= d
		}
	}
	if err = w.until(ctx, &r.during, after(took)); err != nil || found.all == 0 {
		return found, err
	}
	if err = w.untilStayed(ctx, &r); err != nil {
		return found, err
	}
	err = w.until(ctx, &r.after, func(waited time.Duration) bool { return waited >= longestPause })
	found.alike = len(r.gone(closes))
	return found, err
}
