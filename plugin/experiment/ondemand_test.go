package experiment

import (
	"context"
	"testing"

	"github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// fakeNetworks is an engine all of whose networks are bridges.
type fakeNetworks struct{ engine.API }

func (fakeNetworks) NetworkInspect(_ context.Context, name string, _ network.InspectOptions) (network.Inspect, error) {
	return network.Inspect{Name: name, Driver: "bridge"}, nil
}

// What is found out of a vantage for one server does not change what the others, which
// are started at the same time, go by. Only the race detector would see that otherwise.
func TestVantageIsNotChanged(t *testing.T) {
	t.Parallel()
	r := newRun(engine.Engine{API: fakeNetworks{}}, Spec{}, Options{Vantage: Vantage{Name: "relay", Container: "relay"}})
	r.view.found.ReportNetworks = append(r.view.found.ReportNetworks, report.Network{Name: "a"})
	r.view.found.Addresses.Networks = []facts.Network{{Name: "a"}}
	s := newServer(r, 0, "")
	s.exit = &engine.Exit{} // else it would be asked for more
	facts, err := r.vantageFacts(t.Context(), s, r.view, nil)
	assert.NilError(t, err)
	assert.Check(t, is.Equal(facts.Networks[0].Driver, "bridge"))
	assert.Check(t, is.Equal(r.view.found.Addresses.Networks[0].Driver, ""))
	assert.Check(t, is.Equal(r.view.found.ReportNetworks[0].Driver, ""))
}
