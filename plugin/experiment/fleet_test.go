package experiment

import (
	"context"
	"testing"

	"github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// fakeNetworks is an engine all of whose networks are bridges.
type fakeNetworks struct{ API }

func (fakeNetworks) NetworkInspect(_ context.Context, name string, _ network.InspectOptions) (network.Inspect, error) {
	return network.Inspect{Name: name, Driver: "bridge"}, nil
}

// What is found out of a vantage for one server does not change what the others, which
// are started at the same time, go by. Only the race detector would see that otherwise.
func TestVantageIsNotChanged(t *testing.T) {
	t.Parallel()
	r := newRun(Engine{API: fakeNetworks{}}, Spec{}, Options{Vantage: Vantage{Name: VantageRelay, Container: "relay"}})
	r.view.found.networks = append(r.view.found.networks, report.Network{Name: "a"})
	r.view.found.facts.Networks = []NetworkFacts{{Name: "a"}}
	s := newServer(r, 0, "")
	s.exit = &exit{} // else it would be asked for more
	facts, err := r.vantageFacts(t.Context(), s, r.view, nil)
	assert.NilError(t, err)
	assert.Check(t, is.Equal(facts.Networks[0].Driver, "bridge"))
	assert.Check(t, is.Equal(r.view.found.facts.Networks[0].Driver, ""))
	assert.Check(t, is.Equal(r.view.found.networks[0].Driver, ""))
}
