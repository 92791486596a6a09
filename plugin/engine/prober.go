package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
)

// ProbeRequest is a document that is sent to the agent's role probe, which answers with a
// ProbeReply of the same number. It handles requests in parallel.
type ProbeRequest struct {
	Number    int           `json:"number"`
	Race      netprobe.Race `json:"race"`
	Listeners bool          `json:"listeners"` // list the listening sockets instead of running a race
	Stop      bool          `json:"stop"`      // end the request with this number now
}

// ProbeReply is the result of a ProbeRequest.
type ProbeReply struct {
	Number    int               `json:"number"`
	Results   []netprobe.Result `json:"results"`
	Listeners *ListenersReply   `json:"listeners,omitempty"` // if the request is for them
}

// RemoteProber sends probes from an agent in a container: on a network, or in the network
// namespace of a running container, which it does not change.
type RemoteProber struct {
	Agent *Agent

	mu      sync.Mutex
	number  int
	waiting map[int]chan ProbeReply
	lost    chan struct{} // closed when no further reply can arrive
	err     error         // why; set before lost is closed
}

// StartProber starts the agent on a network, or in the network namespace of a container.
// It receives replies until watching ends.
func StartProber(ctx, watching context.Context, api API, name, image string, where container.NetworkMode, l Labels) (*RemoteProber, error) {
	c := NewAgentContainer(name, image, "probe", l)
	c.HostConfig.NetworkMode = where
	a, err := StartAgent(ctx, watching, api, c)
	if err != nil {
		return nil, fmt.Errorf("starting a helper to probe from %s: %w", where, err)
	}
	return NewRemoteProber(watching, a), nil
}

// NewRemoteProber returns a prober for an agent in the role probe. It receives replies
// until ctx ends.
func NewRemoteProber(ctx context.Context, a *Agent) *RemoteProber {
	p := &RemoteProber{Agent: a, waiting: map[int]chan ProbeReply{}, lost: make(chan struct{})}
	go p.deliver(ctx) // ends with the agent, or with ctx
	return p
}

func (p *RemoteProber) deliver(ctx context.Context) {
	defer close(p.lost)
	for {
		var reply ProbeReply
		if p.err = p.Agent.Receive(ctx, &reply); p.err != nil {
			return
		}
		p.mu.Lock()
		replies := p.waiting[reply.Number]
		p.mu.Unlock()
		if replies != nil {
			replies <- reply
		}
	}
}

// replyMargin is how long after the end of a race its reply may arrive: the agent gets
// the request later than it was sent, and the request to stop too.
const replyMargin = 2 * time.Second

// Run runs a race from the agent's network, for the interface experiment.Prober. When ctx
// is cancelled, it sends the agent a request to stop; the agent knows the deadline of
// ctx. In both cases the agent replies with what it has measured so far.
func (p *RemoteProber) Run(ctx context.Context, race netprobe.Race) ([]netprobe.Result, error) {
	number, replies, err := p.request(ProbeRequest{Race: race})
	if err != nil {
		return nil, err
	}
	defer p.forget(number)
	select {
	case reply := <-replies:
		return reply.Results, nil
	case <-p.lost:
		return nil, p.err
	case <-ctx.Done():
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		if err := p.send(ProbeRequest{Number: number, Stop: true}); err != nil {
			return nil, err
		}
	}
	margin := time.NewTimer(replyMargin)
	defer margin.Stop()
	select {
	case reply := <-replies:
		return reply.Results, nil
	case <-p.lost:
		return nil, p.err
	case <-margin.C:
		return nil, fmt.Errorf("container %s did not report what it has measured within %s", p.Agent.Name, replyMargin)
	}
}

// request sends a request with a new number.
func (p *RemoteProber) request(request ProbeRequest) (number int, replies <-chan ProbeReply, err error) {
	reply := make(chan ProbeReply, 1)
	p.mu.Lock()
	p.number++
	request.Number = p.number
	p.waiting[request.Number] = reply
	p.mu.Unlock()
	return request.Number, reply, p.send(request)
}

func (p *RemoteProber) send(request ProbeRequest) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Agent.Send(request)
}

func (p *RemoteProber) forget(number int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, number)
}

// Sockets lists the TCP sockets that listen in the prober's network namespace. After an
// error nothing is known about them.
func (p *RemoteProber) Sockets(ctx context.Context) (listening.Listeners, error) {
	number, replies, err := p.request(ProbeRequest{Listeners: true})
	if err != nil {
		return listening.Listeners{}, err
	}
	defer p.forget(number)
	select {
	case reply := <-replies:
		return reply.Listeners.result()
	case <-p.lost:
		return listening.Listeners{}, p.err
	case <-ctx.Done():
		return listening.Listeners{}, context.Cause(ctx)
	}
}
