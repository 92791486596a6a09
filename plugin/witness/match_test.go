package witness

import (
	"net/netip"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
)

var server = netip.MustParseAddrPort("172.17.0.2:80")

// from is a connection of the server with a client's port.
func from(port uint16, state listening.State, accepted bool) listening.Connection {
	client := netip.AddrPortFrom(netip.MustParseAddr("172.17.0.1"), port)
	return listening.Connection{Local: server, Remote: client, State: state, Accepted: accepted}
}

func taken(port uint16) listening.Connection { return from(port, listening.StateOpen, true) }

// opened is a connection with a local port that the server may see or not.
func opened(port uint16) netprobe.HeldConnection {
	return netprobe.HeldConnection{Local: netip.AddrPortFrom(netip.MustParseAddr("172.17.0.1"), port), Remote: server}
}

func closedBy(port uint16) netprobe.HeldConnection {
	h := opened(port)
	h.Closed = true
	return h
}

// published is a connection to a port of the host that leads to the server, or to another.
func published() netprobe.HeldConnection {
	h := opened(1)
	h.Remote = netip.MustParseAddrPort("172.17.0.1:8080")
	return h
}

func TestSightings(t *testing.T) {
	t.Parallel()
	all := func(connections ...listening.Connection) []listening.Connection { return connections }
	held := func(connections ...netprobe.HeldConnection) []netprobe.HeldConnection { return connections }
	const accepted, closed, waiting, nothing = facts.SeenAccepted, facts.SeenClosed, facts.SeenWaiting, facts.SeenNothing
	for name, test := range map[string]struct {
		before, during []listening.Connection
		established    uint64 // meanwhile, by the counter
		held           []netprobe.HeldConnection
		want           []facts.Seen
	}{
		"not connected": {held: held(netprobe.HeldConnection{}), want: []facts.Seen{""}},
		"nothing":       {held: held(opened(1)), want: []facts.Seen{nothing}},
		"straight":      {during: all(taken(1)), established: 1, held: held(opened(1)), want: []facts.Seen{accepted}},
		"straight, beside others": {
			during: all(taken(7), taken(1), taken(8)), established: 9, held: held(opened(1)), want: []facts.Seen{accepted},
		},
		"through a forwarder": {during: all(taken(7)), established: 1, held: held(opened(1)), want: []facts.Seen{accepted}},
		"it was there before": {
			before: all(taken(7)), during: all(taken(7)), held: held(opened(1)), want: []facts.Seen{nothing},
		},
		"through NAT": {during: all(taken(1)), established: 1, held: held(published()), want: []facts.Seen{accepted}},
		"another client has the port": {
			during: all(from(1, listening.StateServerClosed, false)), established: 1, held: held(published()), want: []facts.Seen{undecided},
		},
		"not accepted": {
			during: all(from(7, listening.StateOpen, false)), established: 1, held: held(opened(1)), want: []facts.Seen{waiting},
		},
		"closed by the server": {
			during: all(from(7, listening.StateServerClosed, false)), established: 1, held: held(closedBy(1)), want: []facts.Seen{closed},
		},
		"reset by the server, or by another one": {established: 1, held: held(closedBy(1)), want: []facts.Seen{undecided}},
		"another one was reset":                  {established: 1, held: held(opened(1)), want: []facts.Seen{undecided}},
		"one of several": {
			during: all(taken(7)), established: 1, held: held(opened(1), opened(2)), want: []facts.Seen{undecided, undecided},
		},
		"all of several": {
			during: all(taken(7), taken(2), taken(8)), established: 3,
			held: held(opened(1), opened(2), opened(3)), want: []facts.Seen{accepted, accepted, accepted},
		},
		"all, but not alike": {
			during: all(taken(7), from(8, listening.StateOpen, false)), established: 2,
			held: held(opened(1), opened(2)), want: []facts.Seen{undecided, undecided},
		},
		"more than opened": {
			during: all(taken(7), taken(8)), established: 2, held: held(opened(1)), want: []facts.Seen{undecided},
		},
		"others came and went": {during: all(taken(7)), established: 3, held: held(opened(1)), want: []facts.Seen{undecided}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := round{
				before: listening.Traffic{Connections: test.before, Counters: listening.Counters{Opened: 40}},
				during: listening.Traffic{Connections: test.during, Counters: listening.Counters{Opened: 40 + test.established}},
				held:   test.held,
			}
			var got []facts.Seen
			for _, s := range r.sightings() {
				got = append(got, s.Seen)
			}
			assert.DeepEqual(t, got, test.want)
		})
	}
}

// A forwarder accepts, and the answers to its own connection do not come back. It goes on when
// its client has gone; with TCP_DEFER_ACCEPT its connection is closed like any other.
func TestSightingsUnanswered(t *testing.T) {
	t.Parallel()
	handshake := listening.Traffic{Connections: []listening.Connection{from(7, listening.StateHandshake, false)}}
	r := round{during: handshake, after: handshake, held: []netprobe.HeldConnection{opened(1)}}
	assert.Check(t, is.Equal(r.sightings()[0].Seen, facts.SeenUnanswered))
	r.after = listening.Traffic{}
	assert.Check(t, is.Equal(r.sightings()[0].Seen, facts.SeenDeferred))
}

// Behind NAT a connection is told by its client's port, which another client's may have. If
// there are other clients, a second round has to show the same.
func TestSightingsByPort(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		held    netprobe.HeldConnection
		arrived []listening.Connection
		decided bool
	}{
		"straight":                   {opened(1), []listening.Connection{taken(1), taken(7)}, true},
		"through NAT, no other":      {published(), []listening.Connection{taken(1)}, true},
		"through NAT, beside others": {published(), []listening.Connection{taken(1), taken(7)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := round{during: listening.Traffic{Connections: test.arrived}, held: []netprobe.HeldConnection{test.held}}
			s := r.sightings()[0]
			assert.Check(t, is.Equal(s.Seen, facts.SeenAccepted))
			assert.Check(t, is.Equal(s.decided(true), test.decided))
		})
	}
}
