package swarm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/pkg/stdcopy"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
)

// newTestRun is a run on a node with a server, a node that is down, and a node that is ready
// and has no server.
func newTestRun() *run {
	server := &swarm.Task{ID: "task", ServiceID: "service", NodeID: "one", NetworksAttachments: []swarm.NetworkAttachment{
		{Network: swarm.Network{Spec: swarm.NetworkSpec{Annotations: swarm.Annotations{Name: "ingress"}}}, Addresses: []string{"10.0.0.3/24"}},
		{Network: swarm.Network{Spec: swarm.NetworkSpec{Annotations: swarm.Annotations{Name: "nestprobe-x"}}}, Addresses: []string{"10.0.1.3/24"}},
	}}
	return &run{
		request: experiment.Request{Port: 4647, Target: netprobe.Target{Path: "/foo", Scheme: netprobe.HTTP}, Timeout: time.Second, Wait: time.Second},
		port:    20001, network: "nestprobe-x", token: "secret", services: map[string]string{"service": "nestprobe-x-server1"},
		nodes: []*node{
			{Node: swarm.Node{ID: "one", Status: swarm.NodeStatus{State: swarm.NodeStateReady}}, name: "one", address: "192.0.2.1", server: server},
			{Node: swarm.Node{ID: "two", Status: swarm.NodeStatus{State: swarm.NodeStateDown}}, name: "two", address: "192.0.2.2"},
			{Node: swarm.Node{ID: "three", Status: swarm.NodeStatus{State: swarm.NodeStateReady}}, name: "three", address: "192.0.2.3"},
		},
	}
}

func TestNodeCandidates(t *testing.T) {
	t.Parallel()
	r := newTestRun()
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

// helperLog is a manager with the log of a helper. A test cannot time the change of a node's
// state while real helpers work.
type helperLog struct {
	Manager
	stdout string
}

func (h helperLog) TaskLogs(context.Context, string, container.LogsOptions) (io.ReadCloser, error) {
	var log bytes.Buffer
	_, err := stdcopy.NewStdWriter(&log, stdcopy.Stdout).Write([]byte(h.stdout))
	return io.NopCloser(&log), err
}

// The results of a helper stay valid when other nodes have changed their states since.
func TestNodeChangesDuringProbes(t *testing.T) {
	t.Parallel()
	r := newTestRun()
	r.sent = r.newWork()
	log := helperLog{}
	for race, work := range r.sent.Races {
		for attempt := range work.Attempts {
			log.stdout += fmt.Sprintf(`{"race":%d,"attempt":%d,"result":{"attempts":1}}`+"\n", race, attempt)
		}
	}
	r.options.Manager = log
	r.nodes[2].Status.State = swarm.NodeStateDown // now it would have an address to probe
	results, helperError := r.readLog(t.Context(), &swarm.Task{Status: swarm.TaskStatus{State: swarm.TaskStateComplete}})
	assert.Equal(t, helperError, "")
	r.nodes[0].results = results
	r.nodes[1].Status.State = swarm.NodeStateReady // and this node would have none
	rows := r.rows(r.nodes[0])
	assert.Assert(t, is.Len(rows, 4))
	assert.Check(t, is.DeepEqual([]any{rows[3].Server, rows[3].Address}, []any{1, "192.0.2.2:20001"}))
}
