package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// fakeSwept is an engine with leftovers of two runs, whose clock is late for the one:
// engines here have the clock of their clients.
type fakeSwept struct {
	API
	deadline time.Time
	listed   func() // called when the containers are

	mu      sync.Mutex
	removed []string
}

func (f *fakeSwept) labels(run string) map[string]string {
	return map[string]string{LabelRun: run, LabelDeadline: f.deadline.UTC().Format(time.RFC3339)}
}

func (f *fakeSwept) ContainerList(context.Context, container.ListOptions) ([]container.Summary, error) {
	f.listed()
	var all []container.Summary
	for _, run := range []string{"own", "earlier"} {
		task := f.labels(run)
		task[serviceLabel] = run + "'s service"
		all = append(all,
			container.Summary{ID: run + "'s client", Labels: f.labels(run)},
			container.Summary{ID: run + "'s dead one", Labels: f.labels(run), State: container.StateDead},
			container.Summary{ID: run + "'s ghost", Labels: f.labels(run), State: container.StateDead},
			container.Summary{ID: run + "'s task", Labels: task})
	}
	return all, nil
}

func (f *fakeSwept) NetworkList(context.Context, network.ListOptions) ([]network.Summary, error) {
	return []network.Summary{
		{ID: "own's network", Labels: f.labels("own"), Scope: "swarm"},
		{ID: "earlier's network", Labels: f.labels("earlier"), Scope: "swarm"},
	}, nil
}

func (f *fakeSwept) ServiceList(context.Context, swarm.ServiceListOptions) ([]swarm.Service, error) {
	services := []swarm.Service{{ID: "own's service"}, {ID: "earlier's service"}}
	services[0].Spec.Labels, services[1].Spec.Labels = f.labels("own"), f.labels("earlier")
	return services, nil
}

func (f *fakeSwept) remove(id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removed = append(f.removed, id)
	return nil
}

func (f *fakeSwept) ContainerRemove(_ context.Context, id string, _ container.RemoveOptions) error {
	return f.remove(id)
}
func (f *fakeSwept) NetworkRemove(_ context.Context, id string) error { return f.remove(id) }
func (f *fakeSwept) ServiceRemove(_ context.Context, id string) error { return f.remove(id) }

func (f *fakeSwept) NetworkInspect(context.Context, string, network.InspectOptions) (network.Inspect, error) {
	return network.Inspect{}, nil
}

func (f *fakeSwept) ContainerInspect(_ context.Context, id string) (container.InspectResponse, error) {
	switch {
	case strings.HasSuffix(id, "dead one"):
		return container.InspectResponse{}, nil
	case strings.HasSuffix(id, "ghost"):
		return container.InspectResponse{}, errdefs.ErrNotFound
	default:
		return container.InspectResponse{}, errors.Join(errdefs.ErrNotFound, f.remove("awaited "+id))
	}
}

type quiet struct{ Progress }

func (quiet) Note(string) {}

// A run leaves what is its own alone, whatever the deadlines are.
func TestSweepSparesItsOwn(t *testing.T) {
	t.Parallel()
	now := time.Now()
	engine := &fakeSwept{deadline: now.Add(-time.Minute), listed: func() {}}
	RemoveLeftovers(t.Context(), engine, "own", now, quiet{})
	slices.Sort(engine.removed)
	assert.Check(t, is.DeepEqual(engine.removed, []string{
		"awaited earlier's task", "earlier's client", "earlier's dead one", "earlier's network", "earlier's service",
	}))
}

// fakeLeftovers is an engine that may know of services. A worker shows a network
// whose deadline has passed only for as long as its containers do not notice theirs,
// so it cannot be had at will.
type fakeLeftovers struct {
	API
	services func() ([]swarm.Service, error)
}

func (f fakeLeftovers) ServiceList(context.Context, swarm.ServiceListOptions) ([]swarm.Service, error) {
	return f.services()
}

func TestListServices(t *testing.T) {
	t.Parallel()
	now := time.Now()
	labels := func(deadline time.Time) map[string]string {
		return map[string]string{LabelRun: "x", LabelDeadline: deadline.UTC().Format(time.RFC3339)}
	}
	past, future := labels(now.Add(-time.Minute)), labels(now.Add(time.Minute))
	ofThisEngine := network.Summary{Name: "bridge", Scope: "local", Labels: past}
	shared := network.Summary{Name: "overlay", Scope: "swarm", Labels: past}
	services := []swarm.Service{{ID: "past"}, {ID: "future"}, {ID: "user's"}}
	services[0].Spec.Labels, services[1].Spec.Labels = past, future
	tasks := []container.Summary{
		{ID: "its task", Labels: map[string]string{serviceLabel: "past"}},
		{ID: "another's", Labels: map[string]string{serviceLabel: "future"}},
	}
	for name, test := range map[string]struct {
		networks []network.Summary
		answer   error
		want     []string // networks and services
	}{
		"no Swarm":  {[]network.Summary{ofThisEngine}, errors.New("nobody is to be asked"), []string{"bridge"}},
		"a manager": {[]network.Summary{ofThisEngine, shared}, nil, []string{"bridge", "overlay", "past", "its task"}},
		"a worker":  {[]network.Summary{ofThisEngine, shared}, errdefs.ErrUnavailable, []string{"bridge"}},
	} {
		left := Leftovers{Networks: test.networks}
		err := left.listServices(t.Context(), fakeLeftovers{services: func() ([]swarm.Service, error) {
			return slices.Clone(services), test.answer
		}}, now, slices.Clone(tasks))
		assert.Check(t, err, name)
		var got []string
		for _, n := range left.Networks {
			got = append(got, n.Name)
		}
		for _, s := range left.Services {
			got = append(got, s.ID)
		}
		for _, c := range left.tasks {
			got = append(got, c.ID)
		}
		assert.Check(t, is.DeepEqual(got, test.want), name)
	}
}
