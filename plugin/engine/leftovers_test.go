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
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// fakeLeftovers is an engine with leftovers of two runs whose deadlines are over. It is a
// fake because real engines in tests have the same clock as this process.
type fakeLeftovers struct {
	API
	deadline time.Time
	listed   func() // called when the containers are listed

	mu      sync.Mutex
	removed []string
}

func (f *fakeLeftovers) labels(run string) map[string]string {
	return map[string]string{LabelRun: run, LabelDeadline: f.deadline.UTC().Format(time.RFC3339)}
}

func (f *fakeLeftovers) ContainerList(context.Context, container.ListOptions) ([]container.Summary, error) {
	f.listed()
	var all []container.Summary
	for _, run := range []string{"own", "earlier"} {
		task := f.labels(run)
		task[serviceLabel] = run + "'s service"
		all = append(all,
			container.Summary{ID: run + "'s client", Labels: f.labels(run)},
			container.Summary{ID: run + "'s dead container", Labels: f.labels(run), State: container.StateDead},
			container.Summary{ID: run + "'s stale entry", Labels: f.labels(run), State: container.StateDead},
			container.Summary{ID: run + "'s task", Labels: task})
	}
	return all, nil
}

func (f *fakeLeftovers) NetworkList(context.Context, network.ListOptions) ([]network.Summary, error) {
	return []network.Summary{
		{ID: "own's network", Name: "own's network", Labels: f.labels("own"), Scope: "swarm"},
		{ID: "earlier's network", Labels: f.labels("earlier"), Scope: "swarm"},
	}, nil
}

func (f *fakeLeftovers) ServiceList(context.Context, swarm.ServiceListOptions) ([]swarm.Service, error) {
	services := []swarm.Service{{ID: "own's service"}, {ID: "earlier's service"}}
	services[0].Spec.Labels, services[1].Spec.Labels = f.labels("own"), f.labels("earlier")
	return services, nil
}

func (f *fakeLeftovers) remove(id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removed = append(f.removed, id)
	return nil
}

func (f *fakeLeftovers) ContainerRemove(_ context.Context, id string, _ container.RemoveOptions) error {
	return f.remove(id)
}
func (f *fakeLeftovers) NetworkRemove(_ context.Context, id string) error { return f.remove(id) }
func (f *fakeLeftovers) ServiceRemove(_ context.Context, id string) error { return f.remove(id) }

func (f *fakeLeftovers) NetworkInspect(context.Context, string, network.InspectOptions) (network.Inspect, error) {
	return network.Inspect{}, nil
}

func (f *fakeLeftovers) ContainerInspect(_ context.Context, id string) (container.InspectResponse, error) {
	switch {
	case strings.HasSuffix(id, "dead container"):
		return container.InspectResponse{}, nil
	case strings.HasSuffix(id, "stale entry"):
		return container.InspectResponse{}, errdefs.ErrNotFound
	default:
		return container.InspectResponse{}, errors.Join(errdefs.ErrNotFound, f.remove("awaited "+id))
	}
}

type quiet struct{ Progress }

func (quiet) Note(string) {}

// A run keeps its own containers, networks and services, even after their deadline.
func TestRemoveLeftoversKeepsOwnRun(t *testing.T) {
	t.Parallel()
	now := time.Now()
	engine := &fakeLeftovers{deadline: now.Add(-time.Minute), listed: func() {}}
	assert.NilError(t, RemoveLeftovers(t.Context(), Engine{API: engine}, "own", now, quiet{}))
	slices.Sort(engine.removed)
	assert.Check(t, is.DeepEqual(engine.removed, []string{
		"awaited earlier's task", "earlier's client", "earlier's dead container", "earlier's network", "earlier's service",
	}))
}

// What a runner has made is kept as long as the runner runs, and goes after it.
func TestOverAt(t *testing.T) {
	t.Parallel()
	now := time.Now()
	past := NewLabels("x", now.Add(-time.Hour), time.Minute, false)
	past.Runner = "runner"
	future := NewLabels("x", now, time.Minute, false)
	for _, test := range []struct {
		name   string
		labels Labels
		runner container.Summary
		want   bool
	}{
		{"its runner runs", past, container.Summary{ID: "runner", State: container.StateRunning}, false},
		{"its runner is paused", past, container.Summary{ID: "runner", State: container.StatePaused}, false},
		{"its runner has exited", past, container.Summary{ID: "runner", State: container.StateExited}, true},
		{"its runner has been removed", past, container.Summary{ID: "another", State: container.StateRunning}, true},
		{"without a runner", NewLabels("x", now.Add(-time.Hour), time.Minute, false), container.Summary{ID: "runner", State: container.StateRunning}, true},
		{"before its deadline", future, container.Summary{}, false},
		{"kept", NewLabels("x", now.Add(-time.Hour), time.Minute, true), container.Summary{}, false},
	} {
		assert.Check(t, is.Equal(overAt(now, []container.Summary{test.runner})(test.labels.Values()), test.want), test.name)
	}
}

// A run's services go first, and its tasks with them, whatever the deadline; then its
// containers and networks. It is a fake because the order cannot be seen on a real engine.
func TestRemoveRun(t *testing.T) {
	t.Parallel()
	engine := &fakeLeftovers{deadline: time.Now().Add(time.Hour), listed: func() {}}
	found, err := RemoveRun(t.Context(), Engine{API: onlyRun{engine, "own"}}, "own")
	assert.NilError(t, err)
	assert.Check(t, is.Equal(found, 5))
	assert.Check(t, is.Equal(engine.removed[0], "own's service"))
	assert.Check(t, is.Equal(engine.removed[len(engine.removed)-1], "own's network"))
	slices.Sort(engine.removed)
	assert.Check(t, is.DeepEqual(engine.removed, []string{
		"awaited own's task", "own's client", "own's dead container", "own's network", "own's service", "own's stale entry",
	}))
}

// onlyRun lists what a run has made if that is what is looked for.
type onlyRun struct {
	*fakeLeftovers
	run string
}

func (f onlyRun) has(by filters.Args, labels map[string]string) bool {
	return labels[LabelRun] == f.run && by.ExactMatch("label", LabelRun+"="+f.run)
}

func (f onlyRun) ContainerList(ctx context.Context, options container.ListOptions) ([]container.Summary, error) {
	all, err := f.fakeLeftovers.ContainerList(ctx, options)
	return slices.DeleteFunc(all, func(c container.Summary) bool { return !f.has(options.Filters, c.Labels) }), err
}

func (f onlyRun) NetworkList(ctx context.Context, options network.ListOptions) ([]network.Summary, error) {
	all, err := f.fakeLeftovers.NetworkList(ctx, options)
	return slices.DeleteFunc(all, func(n network.Summary) bool { return !f.has(options.Filters, n.Labels) }), err
}

func (f onlyRun) ServiceList(ctx context.Context, options swarm.ServiceListOptions) ([]swarm.Service, error) {
	all, err := f.fakeLeftovers.ServiceList(ctx, options)
	return slices.DeleteFunc(all, func(s swarm.Service) bool { return !f.has(options.Filters, s.Spec.Labels) }), err
}

// fakeServices is an engine with services. It is a fake because a real worker lists an
// expired network only for a moment, until its containers end at the same deadline.
type fakeServices struct {
	API
	services func() ([]swarm.Service, error)
}

func (f fakeServices) ServiceList(context.Context, swarm.ServiceListOptions) ([]swarm.Service, error) {
	return f.services()
}

func TestListServices(t *testing.T) {
	t.Parallel()
	now := time.Now()
	labels := func(deadline time.Time) map[string]string {
		return map[string]string{LabelRun: "x", LabelDeadline: deadline.UTC().Format(time.RFC3339)}
	}
	past, future := labels(now.Add(-time.Minute)), labels(now.Add(time.Minute))
	local := network.Summary{Name: "bridge", Scope: "local", Labels: past}
	shared := network.Summary{Name: "overlay", Scope: "swarm", Labels: past}
	services := []swarm.Service{{ID: "past"}, {ID: "future"}, {ID: "user's"}}
	services[0].Spec.Labels, services[1].Spec.Labels = past, future
	tasks := []container.Summary{
		{ID: "its task", Labels: map[string]string{serviceLabel: "past"}},
		{ID: "another service's task", Labels: map[string]string{serviceLabel: "future"}},
	}
	for name, test := range map[string]struct {
		networks []network.Summary
		answer   error
		want     []string // networks, services and tasks
	}{
		"no Swarm":  {[]network.Summary{local}, errors.New("no request is expected"), []string{"bridge"}},
		"a manager": {[]network.Summary{local, shared}, nil, []string{"bridge", "overlay", "past", "its task"}},
		"a worker":  {[]network.Summary{local, shared}, errdefs.ErrUnavailable, []string{"bridge"}},
	} {
		left := Leftovers{Networks: test.networks}
		err := left.listServices(t.Context(), fakeServices{services: func() ([]swarm.Service, error) {
			return slices.Clone(services), test.answer
		}}, filters.NewArgs(), slices.Clone(tasks), func(labels map[string]string) bool { return hasPassed(labels[LabelDeadline], now) })
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
