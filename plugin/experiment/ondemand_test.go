package experiment

import (
	"context"
	"testing"

	"github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// fakeNetworks is an engine on which every network is a bridge.
type fakeNetworks struct{ engine.API }

func (fakeNetworks) NetworkInspect(_ context.Context, name string, _ network.InspectOptions) (network.Inspect, error) {
	return network.Inspect{Name: name, Driver: "bridge"}, nil
}

// vantageFacts does not change the run's vantage, which other goroutines read at the same
// time. Without this test only the race detector would notice.
func TestVantageFactsDoNotChangeVantage(t *testing.T) {
	t.Parallel()
	r := newRun(engine.Engine{API: fakeNetworks{}}, Request{}, Options{Vantage: probing.Vantage{Name: "relay", Container: "relay"}})
	r.vantage.found.ReportNetworks = append(r.vantage.found.ReportNetworks, report.Network{Name: "a"})
	r.vantage.found.Networks = []facts.Network{{Name: "a"}}
	s := newServer(r, 0)
	s.exit = &report.Fault{} // else the server would be probed again
	facts, err := r.vantageFacts(t.Context(), s, r.vantage, nil)
	assert.NilError(t, err)
	assert.Check(t, is.Equal(facts.Networks[0].Driver, "bridge"))
	assert.Check(t, is.Equal(r.vantage.found.Networks[0].Driver, ""))
	assert.Check(t, is.Equal(r.vantage.found.ReportNetworks[0].Driver, ""))
}
