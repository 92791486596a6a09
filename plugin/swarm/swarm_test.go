package swarm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/pkg/stdcopy"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func TestNotManager(t *testing.T) {
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
		err := notManager(test.info)
		if test.says == "" {
			assert.Check(t, err)
		} else {
			assert.Check(t, is.ErrorContains(err, test.says))
		}
	}
}

func TestStateOfNode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		state        swarm.NodeState
		availability swarm.NodeAvailability
		want         string
		takes        bool
	}{
		{swarm.NodeStateReady, swarm.NodeAvailabilityActive, "ready", true},
		{swarm.NodeStateReady, swarm.NodeAvailabilityDrain, "drained", false},
		{swarm.NodeStateReady, swarm.NodeAvailabilityPause, "paused", false},
		{swarm.NodeStateDown, swarm.NodeAvailabilityActive, "down", false},
		{swarm.NodeStateDown, swarm.NodeAvailabilityDrain, "down", false},
	} {
		n := swarm.Node{Status: swarm.NodeStatus{State: test.state}, Spec: swarm.NodeSpec{Availability: test.availability}}
		assert.Check(t, is.Equal(stateOf(n), test.want))
		assert.Check(t, is.Equal(takes(n), test.takes))
	}
}

// What a manager is listed with may lead nowhere.
func TestAddressOfNode(t *testing.T) {
	t.Parallel()
	r := &nodesRun{self: swarm.Info{NodeID: "me", NodeAddr: "192.0.2.1"}}
	for _, test := range []struct {
		id, status, manager, want string
	}{
		{"me", "0.0.0.0", "", "192.0.2.1"},
		{"me", "127.0.0.1", "192.0.2.9:2377", "192.0.2.1"},
		{"other", "192.0.2.2", "", "192.0.2.2"},
		{"other", "0.0.0.0", "192.0.2.3:2377", "192.0.2.3"},
		{"other", "", "[2001:db8::3]:2377", "2001:db8::3"},
		{"other", "nonsense", "", ""},
	} {
		n := swarm.Node{ID: test.id, Status: swarm.NodeStatus{Addr: test.status}}
		if test.manager != "" {
			n.ManagerStatus = &swarm.ManagerStatus{Addr: test.manager}
		}
		assert.Check(t, is.Equal(r.addressOf(n), test.want), "%+v", test)
	}
}

// An image is asked for by its id where all nodes that are known agree on it.
func TestImageOfNodes(t *testing.T) {
	t.Parallel()
	amd := swarm.Platform{OS: "linux", Architecture: "x86_64"}
	arm := swarm.Platform{OS: "linux", Architecture: "aarch64"}
	on := func(platform swarm.Platform, image string) *node {
		return &node{Node: swarm.Node{Description: swarm.NodeDescription{Platform: platform}}, reached: ReachedNode{Image: image}}
	}
	r := &nodesRun{
		nodes: []*node{on(amd, "sha256:1"), on(amd, ""), on(amd, "sha256:1"), on(arm, "")},
		options: Options{AgentReference: func(os, arch string) (string, error) {
			if os != "linux" {
				return "", errors.New("no agent")
			}
			return "agent:" + arch, nil
		}},
	}
	assert.NilError(t, r.addImage(amd))
	assert.NilError(t, r.addImage(arm))
	assert.Error(t, r.addImage(swarm.Platform{OS: "windows", Architecture: "x86_64"}), "no agent")
	r.nodes[1].reached.Image = "sha256:2" // another image store
	assert.NilError(t, r.addImage(amd))
	assert.Check(t, is.DeepEqual([]string{r.images[0].ref, r.images[1].ref, r.images[2].ref}, []string{"sha256:1", "agent:arm64", "agent:amd64"}))
}

func TestFailureOfTask(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]struct{ lacks, taken bool }{
		"No such image: sha256:11":                                              {lacks: true},
		"host-mode port already in use on 1 node":                               {taken: true},
		"starting container failed: … listen tcp4: address already in use":      {taken: true},
		"driver failed …: Bind for 0.0.0.0:1 failed: port is already allocated": {taken: true},
		"task: non-zero exit (1)":                                               {},
	} {
		task := &swarm.Task{Status: swarm.TaskStatus{State: swarm.TaskStateRejected, Err: words}}
		assert.Check(t, is.Equal(lacksImage(task), want.lacks), words)
		assert.Check(t, is.Equal(takesPort(task), want.taken), words)
		assert.Check(t, is.Contains(failureOf(task), words))
	}
}

// nodesOf is a run on a node with a server and on one that is down.
func nodesOf() *nodesRun {
	server := &swarm.Task{ID: "task", ServiceID: "service", NodeID: "one", NetworksAttachments: []swarm.NetworkAttachment{
		{Network: swarm.Network{Spec: swarm.NetworkSpec{Annotations: swarm.Annotations{Name: "ingress"}}}, Addresses: []string{"10.0.0.3/24"}},
		{Network: swarm.Network{Spec: swarm.NetworkSpec{Annotations: swarm.Annotations{Name: "nestprobe-x"}}}, Addresses: []string{"10.0.1.3/24"}},
	}}
	return &nodesRun{
		spec: experiment.Spec{Port: 4647, Path: "/foo", Scheme: netprobe.HTTP, Timeout: time.Second, Wait: time.Second},
		port: 20001, network: "nestprobe-x", token: "secret", services: map[string]string{"service": "nestprobe-x-server1"},
		nodes: []*node{
			{Node: swarm.Node{ID: "one", Status: swarm.NodeStatus{State: swarm.NodeStateReady}}, name: "one", address: "192.0.2.1", server: server},
			{Node: swarm.Node{ID: "two", Status: swarm.NodeStatus{State: swarm.NodeStateDown}}, name: "two", address: "192.0.2.2"},
			{Node: swarm.Node{ID: "three", Status: swarm.NodeStatus{State: swarm.NodeStateReady}}, name: "three", address: "192.0.2.3"},
		},
	}
}

func TestNodeCandidates(t *testing.T) {
	t.Parallel()
	r := nodesOf()
	var got []string
	for _, n := range r.nodes {
		for _, c := range r.candidatesOf(n) {
			got = append(got, n.name+" "+string(c.Kind)+" "+c.Address)
		}
	}
	assert.Check(t, is.DeepEqual(got, []string{
		"one container-name nestprobe-x-server1.one.task:4647",
		"one container-ip 10.0.1.3:4647",
		"one published-engine-host 192.0.2.1:20001",
		"two published-engine-host 192.0.2.2:20001",
	}))
	assert.Check(t, is.Equal(r.newWork().targets(), len(got)+len(r.nodes)))
}

// Rows are made of what the helper has told, and there is none for what it has not.
func TestNodeRows(t *testing.T) {
	t.Parallel()
	r := nodesOf()
	r.newWork()
	lines := strings.NewReader(`noise
{"race":0,"attempt":1,"result":{"attempts":2,"ok":true,"status":200}}
{"race":1,"attempt":0,"result":{"attempts":9,"failure":"connect-timeout"}}
{"race":4,"attempt":0,"result":{"attempts":9,"failure":"connect-timeout"}}
`)
	r.nodes[0].results = parse(lines)
	rows := r.rows(r.nodes[0])
	assert.Assert(t, is.Len(rows, 2))
	assert.Check(t, is.DeepEqual([]any{rows[0].Vantage, rows[0].Server, rows[0].Kind, rows[0].OK, rows[0].Attempts},
		[]any{"node:one", 0, report.KindContainerIP, true, 2}))
	assert.Check(t, is.DeepEqual([]any{rows[1].Server, rows[1].Failure}, []any{1, netprobe.ConnectTimeout}))
	assert.Check(t, is.Equal(r.facts().Nodes[1].Gossip["node:one"].Failure, netprobe.ConnectTimeout))
	assert.Check(t, is.Len(r.rows(r.nodes[1]), 0))
}

// helperLog is a Swarm of which a test reads the log of a helper. That a node changes
// its state just while the helpers work cannot be had at will.
type helperLog struct {
	Manager
	said string
}

func (h helperLog) TaskLogs(context.Context, string, container.LogsOptions) (io.ReadCloser, error) {
	var log bytes.Buffer
	_, err := stdcopy.NewStdWriter(&log, stdcopy.Stdout).Write([]byte(h.said))
	return io.NopCloser(&log), err
}

// What the helpers have told is of use whatever has become of the other nodes since.
func TestNodeChangesWhileAsked(t *testing.T) {
	t.Parallel()
	r := nodesOf()
	r.sent = r.newWork()
	log := helperLog{}
	for race, work := range r.sent.Races {
		for attempt := range work.Attempts {
			log.said += fmt.Sprintf(`{"race":%d,"attempt":%d,"result":{"attempts":1}}`+"\n", race, attempt)
		}
	}
	r.options.Manager = log
	r.nodes[2].Status.State = swarm.NodeStateDown // now it would have an address to try
	results, silent := r.read(t.Context(), &swarm.Task{Status: swarm.TaskStatus{State: swarm.TaskStateComplete}})
	assert.Equal(t, silent, "")
	r.nodes[0].results = results
	r.nodes[1].Status.State = swarm.NodeStateReady // and this one would have none
	rows := r.rows(r.nodes[0])
	assert.Assert(t, is.Len(rows, 4))
	assert.Check(t, is.DeepEqual([]any{rows[3].Server, rows[3].Address}, []any{1, "192.0.2.2:20001"}))
}

func TestNodeWorkEncoded(t *testing.T) {
	t.Parallel()
	work := NodeWork{Settle: time.Minute}
	for range 200 {
		var race netprobe.Race
		for range 3 {
			race.Attempts = append(race.Attempts, netprobe.Attempt{Target: netprobe.Target{Address: net.JoinHostPort(engine.NewToken(20), "1"), Identity: strings.Repeat("x", 60)}})
		}
		work.Races = append(work.Races, race)
	}
	word, err := work.Encode()
	assert.NilError(t, err)
	assert.Check(t, len(word) < 128<<10, "%d bytes for 200 nodes", len(word))
	decoded, err := DecodeNodeWork(word)
	assert.NilError(t, err)
	assert.Check(t, is.DeepEqual(decoded, work))
	for _, wrong := range []string{"%", "AAAA", word[:len(word)/2]} {
		_, err := DecodeNodeWork(wrong)
		assert.Check(t, is.ErrorContains(err, "decoding the work of a node"))
	}
}

// What fails is tried again until it works or the time is over.
func TestNodeWorkSettles(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 4 {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	good := netprobe.Attempt{Target: netprobe.Target{Address: server.Listener.Addr().String(), Path: "/"}}
	bad := netprobe.Attempt{Target: netprobe.Target{Address: "does-not-exist.invalid:1", Path: "/"}}
	work := NodeWork{Settle: 3 * time.Second, Races: []netprobe.Race{
		{Attempts: []netprobe.Attempt{good}, Timeout: time.Second, Wait: 3 * time.Second},
		{Attempts: []netprobe.Attempt{bad}, Timeout: time.Second, Wait: 3 * time.Second},
	}}
	began := time.Now()
	results := work.Do(t.Context())
	assert.Check(t, time.Since(began) < 10*time.Second)
	assert.Assert(t, is.Len(results, 2))
	assert.Check(t, results[0].Result.OK, "%+v", results[0])
	assert.Check(t, is.Equal(results[0].Result.Attempts, 4))
	assert.Check(t, !results[1].Result.OK)
}

// fakeSwarm has one node, whose task is as the test says for each service made. The
// port that a run chooses cannot be taken before it does, so that a node has
// something else there cannot be had for real.
type fakeSwarm struct {
	engine.API
	Manager
	node    swarm.Node
	tasks   []swarm.TaskStatus // by attempt
	taken   bool               // the name of a service
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
		"free":         {[]swarm.TaskStatus{running}, ""},
		"free at last": {[]swarm.TaskStatus{failed, pending, running}, ""},
		"never free":   {[]swarm.TaskStatus{failed, pending, failed}, "3 ports were tried"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := swarm.Node{ID: "one", Status: swarm.NodeStatus{State: swarm.NodeStateReady}, Spec: swarm.NodeSpec{Availability: swarm.NodeAvailabilityActive}}
			fake := &fakeSwarm{node: found, tasks: test.tasks}
			r := &nodesRun{
				engine:   engine.Engine{API: fake},
				options:  Options{Progress: noProgress{}, Manager: fake},
				spec:     experiment.Spec{Port: 4647, Wait: time.Minute},
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
			assert.Check(t, r.nodes[0].server != nil, r.nodes[0].absent)
		})
	}
}

// A service whose name was taken is not removed with those of the run.
func TestServiceNameTaken(t *testing.T) {
	t.Parallel()
	fake := &fakeSwarm{taken: true}
	r := &nodesRun{
		engine:   engine.Engine{API: fake},
		options:  Options{Progress: noProgress{}, Manager: fake},
		images:   []nodeImage{{ref: "sha256:1"}},
		services: map[string]string{},
	}
	assert.Check(t, is.ErrorContains(r.startServers(t.Context()), "creating service nestprobe-"))
	assert.Check(t, is.Len(r.made, 0))
}
