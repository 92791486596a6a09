package mode

import (
	"slices"
	"testing"

	"gotest.tools/v3/assert"
)

func TestChoose(t *testing.T) {
	names := func(modes []Mode) []string {
		var names []string
		for _, m := range modes {
			names = append(names, m.Name)
		}
		return names
	}
	all, err := Choose([]string{"all"})
	assert.NilError(t, err)
	assert.DeepEqual(t, names(all), names(All()))

	some, err := Choose([]string{"none", "bridge", "none"})
	assert.NilError(t, err)
	assert.DeepEqual(t, names(some), []string{"bridge", "none"})

	_, err = Choose([]string{"bridge", "brigde"})
	assert.ErrorContains(t, err, `unknown network mode "brigde": must be one of all, bridge, `)
}

// TestNames wants names that tell modes apart and can be a part of a container's.
func TestNames(t *testing.T) {
	names := Names()
	for i, name := range names {
		assert.Assert(t, !slices.Contains(names[:i], name), name)
		for _, r := range name {
			assert.Assert(t, r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-', name)
		}
	}
	for _, m := range All() {
		assert.Assert(t, m.About != "", m.Name)
	}
}

// TestSpecs wants only the modes on a parent to heed the settings and to wait for
// one another.
func TestSpecs(t *testing.T) {
	settings := Settings{Parent: "eth0", Subnet: "192.0.2.0/24", Gateway: "192.0.2.1"}
	for i, s := range Specs(All(), settings) {
		assert.Equal(t, s.Name, All()[i].Name)
		assert.Assert(t, len(s.Connection.Temporary) == 0 || s.Connection.Peer, s.Name)
		for _, n := range s.Connection.Temporary {
			onParent := n.Parent != ""
			assert.Equal(t, onParent, s.Alone == Parent, s.Name)
			if onParent {
				assert.Equal(t, n.Parent, settings.Parent)
				assert.Equal(t, n.Subnet, settings.Subnet)
				assert.Equal(t, n.Gateway, settings.Gateway)
			}
		}
	}
}
