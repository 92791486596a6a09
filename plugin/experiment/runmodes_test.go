package experiment

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func TestGroupByExclusive(t *testing.T) {
	modes := []ModeRequest{{Name: "a"}, {Name: "b", Exclusive: "x"}, {Name: "c"}, {Name: "d", Exclusive: "y"}, {Name: "e", Exclusive: "x"}}
	assert.DeepEqual(t, groupByExclusive(modes), [][]int{{0}, {1, 4}, {2}, {3}})
	assert.Equal(t, len(groupByExclusive(nil)), 0)
}

func TestModeReport(t *testing.T) {
	reached := report.Reach{Vantage: "host", OK: true}
	isolated := report.Reach{Vantage: "host", Cause: "macvlan-host-isolation"}
	unknown := report.Reach{Vantage: "peer"}
	tests := []struct {
		name   string
		from   []report.Reach
		err    error
		result report.ModeResult
		cause  report.Cause
		detail string
	}{
		{name: "reached", from: []report.Reach{reached}, result: report.ModeWorks},
		{name: "reached from one", from: []report.Reach{isolated, reached}, result: report.ModePartly, cause: "macvlan-host-isolation", detail: "isolated"},
		{name: "reached from nowhere", from: []report.Reach{isolated}, result: report.ModeCannot, cause: "macvlan-host-isolation", detail: "isolated"},
		{name: "not reached, and the cause is not known", from: []report.Reach{reached, unknown}, result: report.ModeFailed},
		{name: "the engine returns an error", err: errors.New("not \x1b[31mhere"), result: report.ModeCannot, detail: `not \x1b[31mhere`},
		{
			name: "the engine returns an error with a known cause", result: report.ModeCannot, cause: "api-version-unsupported", detail: "too old: do",
			err: &report.Fault{Cause: connection.APIVersionUnsupported, Hint: "do", Err: errors.New("too old")},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRun(engine.Engine{}, Request{}, Options{mode: &modeTurn{name: "some"}})
			r.reaches = test.from
			r.report.Findings = []report.Finding{{Cause: "macvlan-host-isolation", Title: "isolated", Severity: report.SeverityError}}
			got := r.modeReport(test.err)
			assert.Equal(t, got.Name, "some")
			assert.Equal(t, got.Result, test.result)
			assert.Equal(t, got.Cause, test.cause)
			assert.Equal(t, got.Detail, test.detail)
			assert.Equal(t, len(got.From), len(test.from))
		})
	}
}

// Servers, probes and modes of one run keep belonging together. OK needs a cause for each
// server that is not reached.
func TestMergeReports(t *testing.T) {
	result := func(name string, ok bool, cause report.Cause) modeRun {
		r := newRun(engine.Engine{}, Request{}, Options{mode: &modeTurn{name: name}})
		r.report.Servers = []report.Server{{Name: name}}
		r.report.Probes = []report.Probe{{Address: name}}
		r.reaches = []report.Reach{{OK: ok, Cause: cause}}
		return modeRun{r.report, r.modeReport(nil)}
	}
	refused := newRun(engine.Engine{}, Request{}, Options{mode: &modeTurn{name: "refused"}})
	results := []modeRun{
		{refused.report, refused.modeReport(errors.New("no"))}, result("a", true, ""), {}, result("b", false, "network-none"),
	}
	all := mergeReports(results)
	assert.Assert(t, all.OK)
	assert.Equal(t, len(all.Modes), 3) // one was not started
	assert.Equal(t, all.Modes[0].Server, -1)
	for _, mode := range all.Modes[1:] {
		assert.Equal(t, all.Servers[mode.Server].Name, mode.Name)
		assert.Equal(t, all.Probes[mode.Server].Address, mode.Name)
		assert.Equal(t, all.Probes[mode.Server].Server, mode.Server)
	}
	assert.Assert(t, !mergeReports(append(results, result("c", false, ""))).OK)
	assert.Assert(t, !mergeReports([]modeRun{result("b", false, "network-none")}).OK)
}

// emptyEngine is an engine without containers and networks. It calls listed when it lists
// its containers.
type emptyEngine struct {
	engine.API
	listed func()
}

func (e emptyEngine) ContainerList(context.Context, container.ListOptions) ([]container.Summary, error) {
	e.listed()
	return nil, nil
}

func (emptyEngine) NetworkList(context.Context, network.ListOptions) ([]network.Summary, error) {
	return nil, nil
}

type noProgress struct{ engine.Progress }

func (noProgress) Step(string) func() { return func() {} }

// Leftovers of earlier runs are removed while the image is pulled, for several network
// modes as for one.
func TestModesRemoveLeftoversDuringPull(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	listed := make(chan struct{})
	engine := engine.Engine{
		API: emptyEngine{listed: sync.OnceFunc(func() { close(listed) })},
		AgentImage: func(ctx context.Context) (string, error) {
			select {
			case <-listed:
				return "", errors.New("that was all")
			case <-ctx.Done():
				return "", errors.New("leftovers are not removed")
			}
		},
	}
	request := Request{Modes: []ModeRequest{{Name: "a"}}, Servers: 1, Wait: time.Second}
	_, err := runModes(ctx, engine, request, Options{Progress: noProgress{}})
	assert.Check(t, is.Error(err, "that was all"))
}

// One mode that is measured makes the run a measurement.
func TestNoneMeasured(t *testing.T) {
	t.Parallel()
	cannot := modeRun{report.New("run"), report.Mode{Name: "overlay", Detail: "not a swarm manager"}}
	measured := modeRun{report.New("run"), report.Mode{Name: "none", From: []report.Reach{{Vantage: "host"}}}}
	assert.Check(t, noneMeasured([]modeRun{cannot, measured}))
	assert.Check(t, noneMeasured(nil))
	assert.Check(t, is.Error(noneMeasured([]modeRun{cannot, cannot}), "none of these network modes could be measured; overlay: not a swarm manager"))
}
