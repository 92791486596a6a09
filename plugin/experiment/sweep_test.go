package experiment

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

type quiet struct{ noProgress }

func (quiet) Note(string) {}

// A run leaves what is its own alone, whatever the deadlines are.
func TestSweepSparesItsOwn(t *testing.T) {
	t.Parallel()
	now := time.Now()
	engine := &fakeSwept{deadline: now.Add(-time.Minute), listed: func() {}}
	sweep(t.Context(), engine, "own", now, quiet{})
	slices.Sort(engine.removed)
	assert.Check(t, is.DeepEqual(engine.removed, []string{
		"awaited earlier's task", "earlier's client", "earlier's dead one", "earlier's network", "earlier's service",
	}))
}

// What earlier runs left is removed while an image is pulled for several network
// modes, as it is for one.
func TestModesSweepBesideImage(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	listed := make(chan struct{})
	engine := Engine{
		API: &fakeSwept{deadline: time.Now().Add(time.Hour), listed: sync.OnceFunc(func() { close(listed) })},
		AgentImage: func(ctx context.Context) (string, error) {
			select {
			case <-listed:
				return "", errors.New("that was all")
			case <-ctx.Done():
				return "", errors.New("nothing is swept")
			}
		},
	}
	spec := Spec{Modes: []ModeSpec{{Name: "a"}}, Servers: 1, Wait: time.Second}
	_, err := runModes(ctx, engine, spec, Options{Progress: quiet{}})
	assert.Check(t, is.Error(err, "that was all"))
}
