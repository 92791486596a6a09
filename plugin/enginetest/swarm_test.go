package enginetest_test

import (
	"strings"
	"testing"

	"github.com/docker/docker/api/types/swarm"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// The engines of a Swarm are its nodes, each with a different name, and a cut between
// two of them affects only these two.
func TestSwarm(t *testing.T) {
	t.Parallel()
	program := enginetest.TestProgram(t)
	engines := enginetest.StartSwarm(t, 3)
	nodes, err := engines[0].Client(t).NodeList(t.Context(), swarm.NodeListOptions{})
	assert.NilError(t, err)
	addresses := map[string]string{}
	for _, n := range nodes {
		assert.Check(t, cmp.Equal(n.Status.State, swarm.NodeStateReady))
		addresses[n.Description.Hostname] = n.Status.Addr
	}
	assert.Check(t, cmp.DeepEqual(addresses, map[string]string{
		"node-1": engines[0].Address, "node-2": engines[1].Address, "node-3": engines[2].Address,
	}))

	// Nothing listens on this port, so the node that is reached refuses.
	reach := func(from, to int) string {
		url := "http://" + engines[to].Address + ":9/"
		out, _ := engines[from].Command(t.Context(), program, "--get", url, "--get-timeout", "1s").Output() // its status is 1 as there is no answer
		return strings.TrimSpace(string(out))
	}
	assert.Check(t, cmp.Equal(reach(1, 2), "refused"))
	restore := engines[1].Cut(t, engines[2])
	assert.Check(t, cmp.Equal(reach(1, 2), "timeout"))
	assert.Check(t, cmp.Equal(reach(2, 1), "timeout"))
	assert.Check(t, cmp.Equal(reach(1, 0), "refused"))
	restore()
	assert.Check(t, cmp.Equal(reach(1, 2), "refused"))
}
