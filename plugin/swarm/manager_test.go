package swarm

import (
	"testing"

	"github.com/docker/docker/api/types/swarm"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

func TestManagerError(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		info swarm.Info
		says string // "" for a manager
	}{
		{swarm.Info{LocalNodeState: swarm.LocalNodeStateActive, ControlAvailable: true}, ""},
		{swarm.Info{LocalNodeState: swarm.LocalNodeStateActive}, "is a worker"},
		{swarm.Info{LocalNodeState: swarm.LocalNodeStateInactive}, "docker swarm init"},
		{swarm.Info{}, "docker swarm init"}, // Podman
		{swarm.Info{LocalNodeState: swarm.LocalNodeStateLocked}, "docker swarm unlock"},
		{swarm.Info{LocalNodeState: swarm.LocalNodeStatePending}, "still joining"},
		{swarm.Info{LocalNodeState: swarm.LocalNodeStateError, Error: "certificate has expired"}, "certificate has expired"},
	} {
		err := managerError(test.info)
		if test.says == "" {
			assert.Check(t, err)
		} else {
			assert.Check(t, is.ErrorContains(err, test.says))
		}
	}
}
