package experiment

import (
	"slices"
	"testing"

	"gotest.tools/v3/assert"
)

func TestChooseNetworkModes(t *testing.T) {
	t.Parallel()
	names := func(modes []NetworkMode) []string {
		var names []string
		for _, m := range modes {
			names = append(names, m.Name)
		}
		return names
	}
	all, err := ChooseNetworkModes([]string{"all"})
	assert.NilError(t, err)
	assert.DeepEqual(t, names(all), names(NetworkModes()))

	some, err := ChooseNetworkModes([]string{"none", "bridge", "none"})
	assert.NilError(t, err)
	assert.DeepEqual(t, names(some), []string{"bridge", "none"})

	_, err = ChooseNetworkModes([]string{"bridge", "brigde"})
	assert.ErrorContains(t, err, `unknown network mode "brigde": must be one of all, bridge, `)
}

// The names of modes differ, and can be a part of a container's name.
func TestNetworkModeNames(t *testing.T) {
	t.Parallel()
	names := NetworkModeNames()
	for i, name := range names {
		assert.Assert(t, !slices.Contains(names[:i], name), name)
		for _, r := range name {
			assert.Assert(t, r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-', name)
		}
	}
	for _, m := range NetworkModes() {
		assert.Assert(t, m.About != "", m.Name)
	}
}

// Only the modes on a parent use its settings and wait for one another.
func TestNetworkModeSpecs(t *testing.T) {
	t.Parallel()
	on := ParentNetwork{Parent: "eth0", Subnet: "192.0.2.0/24", Gateway: "192.0.2.1"}
	for _, m := range NetworkModes() {
		s := m.Request(on)
		assert.Equal(t, s.Name, m.Name)
		assert.Equal(t, s.Exclusive != "", m.OnParent, m.Name)
		assert.Assert(t, len(s.Connection.Temporary) == 0 || s.Connection.Peer, m.Name)
		for _, n := range s.Connection.Temporary {
			assert.Equal(t, n.Parent != "", m.OnParent, m.Name)
			if m.OnParent {
				assert.Equal(t, ParentNetwork{n.Parent, n.Subnet, n.Gateway}, on)
			}
		}
	}
}
