package swarm

import (
	"testing"

	"github.com/docker/docker/api/types/swarm"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

func TestStateOfNode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		state        swarm.NodeState
		availability swarm.NodeAvailability
		want         string
		accepts      bool
	}{
		{swarm.NodeStateReady, swarm.NodeAvailabilityActive, "ready", true},
		{swarm.NodeStateReady, swarm.NodeAvailabilityDrain, "drained", false},
		{swarm.NodeStateReady, swarm.NodeAvailabilityPause, "paused", false},
		{swarm.NodeStateDown, swarm.NodeAvailabilityActive, "down", false},
		{swarm.NodeStateDown, swarm.NodeAvailabilityDrain, "down", false},
	} {
		n := swarm.Node{Status: swarm.NodeStatus{State: test.state}, Spec: swarm.NodeSpec{Availability: test.availability}}
		assert.Check(t, is.Equal(stateOf(n), test.want))
		assert.Check(t, is.Equal(acceptsTasks(n), test.accepts))
	}
}

// A manager may be listed with an address that leads nowhere.
func TestAddressOfNode(t *testing.T) {
	t.Parallel()
	r := &run{self: swarm.Info{NodeID: "me", NodeAddr: "192.0.2.1"}}
	for _, test := range []struct {
		id, status, manager, want string
	}{
		{"me", "0.0.0.0", "", "192.0.2.1"},
		{"me", "127.0.0.1", "192.0.2.9:2377", "192.0.2.1"},
		{"other", "192.0.2.2", "", "192.0.2.2"},
		{"other", "0.0.0.0", "192.0.2.3:2377", "192.0.2.3"},
		{"other", "", "[2001:db8::3]:2377", "2001:db8::3"},
		{"other", "nonsense", "", ""},
	} {
		n := swarm.Node{ID: test.id, Status: swarm.NodeStatus{Addr: test.status}}
		if test.manager != "" {
			n.ManagerStatus = &swarm.ManagerStatus{Addr: test.manager}
		}
		assert.Check(t, is.Equal(r.addressOf(n), test.want), "%+v", test)
	}
}
