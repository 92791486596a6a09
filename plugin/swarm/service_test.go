package swarm

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/system"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func TestTaskError(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]struct{ missing, taken bool }{
		"No such image: sha256:11":                                              {missing: true},
		"host-mode port already in use on 1 node":                               {taken: true},
		"starting container failed: … listen tcp4: address already in use":      {taken: true},
		"driver failed …: Bind for 0.0.0.0:1 failed: port is already allocated": {taken: true},
		"task: non-zero exit (1)":                                               {},
	} {
		task := &swarm.Task{Status: swarm.TaskStatus{State: swarm.TaskStateRejected, Err: message}}
		assert.Check(t, is.Equal(isImageMissing(task), want.missing), message)
		assert.Check(t, is.Equal(isPortTaken(task), want.taken), message)
		assert.Check(t, is.Contains(taskError(task), message))
	}
}

// fakeSwarm has one node, whose task has the next state of tasks for each service created. A
// test cannot occupy the port on a real node, because the run chooses it.
type fakeSwarm struct {
	engine.API
	Manager
	node    swarm.Node
	tasks   []swarm.TaskStatus // by attempt
	taken   bool               // the name of the service
	created []swarm.ServiceSpec
	removed []string
}

func (f *fakeSwarm) ServiceCreate(_ context.Context, spec swarm.ServiceSpec, _ swarm.ServiceCreateOptions) (swarm.ServiceCreateResponse, error) {
	if f.taken {
		return swarm.ServiceCreateResponse{}, errdefs.ErrConflict
	}
	f.created = append(f.created, spec)
	return swarm.ServiceCreateResponse{ID: spec.Name}, nil
}

func (f *fakeSwarm) ServiceRemove(_ context.Context, name string) error {
	f.removed = append(f.removed, name)
	return nil
}

// Info is in both interfaces.
func (f *fakeSwarm) Info(context.Context) (system.Info, error) { return system.Info{}, nil }

func (f *fakeSwarm) NodeList(context.Context, swarm.NodeListOptions) ([]swarm.Node, error) {
	return []swarm.Node{f.node}, nil
}

func (f *fakeSwarm) TaskList(context.Context, swarm.TaskListOptions) ([]swarm.Task, error) {
	at := len(f.created) - 1
	return []swarm.Task{{ID: "task", ServiceID: f.created[at].Name, NodeID: f.node.ID, Status: f.tasks[at]}}, nil
}

type noProgress struct{ engine.Progress }

func (noProgress) Step(string) func() { return func() {} }

func TestPortTakenOnNode(t *testing.T) {
	t.Parallel()
	failed := swarm.TaskStatus{State: swarm.TaskStateFailed, Err: "Bind for 0.0.0.0:1 failed: port is already allocated"}
	pending := swarm.TaskStatus{State: swarm.TaskStatePending, Err: "host-mode port already in use on 1 node"}
	running := swarm.TaskStatus{State: swarm.TaskStateRunning}
	for name, test := range map[string]struct {
		tasks []swarm.TaskStatus
		fails string
	}{
		"free":                      {[]swarm.TaskStatus{running}, ""},
		"free on the third attempt": {[]swarm.TaskStatus{failed, pending, running}, ""},
		"never free":                {[]swarm.TaskStatus{failed, pending, failed}, "3 ports were tried"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := swarm.Node{ID: "one", Status: swarm.NodeStatus{State: swarm.NodeStateReady}, Spec: swarm.NodeSpec{Availability: swarm.NodeAvailabilityActive}}
			fake := &fakeSwarm{node: found, tasks: test.tasks}
			r := &run{
				engine:   engine.Engine{API: fake},
				options:  Options{Progress: noProgress{}, Manager: fake},
				request:  experiment.Request{Port: 4647, Wait: time.Minute},
				report:   &report.Report{Nodes: make([]report.Node, 1)},
				nodes:    []*node{{Node: found, name: "one", ready: true}},
				images:   []nodeImage{{ref: "sha256:1"}},
				services: map[string]string{},
			}
			err := r.startServers(t.Context())
			assert.Check(t, is.Len(fake.created, len(test.tasks)))
			for i, spec := range fake.created {
				taken := i < len(fake.created)-1 || test.fails != ""
				assert.Check(t, is.Equal(slices.Contains(fake.removed, spec.Name), taken), spec.Name)
			}
			if test.fails != "" {
				assert.Check(t, is.ErrorContains(err, test.fails))
				return
			}
			assert.NilError(t, err)
			assert.Check(t, r.nodes[0].server != nil, r.nodes[0].serverError)
		})
	}
}

// A run does not remove a service of another run that has the same name.
func TestServiceNameTaken(t *testing.T) {
	t.Parallel()
	fake := &fakeSwarm{taken: true}
	r := &run{
		engine:   engine.Engine{API: fake},
		options:  Options{Progress: noProgress{}, Manager: fake},
		images:   []nodeImage{{ref: "sha256:1"}},
		services: map[string]string{},
	}
	assert.Check(t, is.ErrorContains(r.startServers(t.Context()), "creating service nestprobe-"))
	assert.Check(t, is.Len(r.created, 0))
}
