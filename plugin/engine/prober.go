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

// ProbeRequest is a document that the agent's role probe gets; ProbeReply, with
// the same number, is what it answers. Requests are worked on side by side.
type ProbeRequest struct {
	Number    int           `json:"number"`
	Race      netprobe.Race `json:"race"`
	Listeners bool          `json:"listeners"` // no race, but a list of what listens there
	Stop      bool          `json:"stop"`      // end the request of this number now
}

// ProbeReply is what became of a request.
type ProbeReply struct {
	Number    int               `json:"number"`
	Results   []netprobe.Result `json:"results"`
	Listeners *ListenersReply   `json:"listeners,omitempty"` // if the request is for them
}

// remoteProber sends probes by an agent in a container: from its network, or from
// the network namespace of a running container that it shares. The running
// container is not touched.
type RemoteProber struct {
	Agent *Agent

	mu      sync.Mutex
	number  int
	waiting map[int]chan ProbeReply
	lost    chan struct{} // closed when no reply will come any more
	err     error         // why; set before lost is closed
}

// startProber starts the agent on a network, or in the namespace of a container.
func StartProber(ctx context.Context, api API, name, image string, where container.NetworkMode, l Labels) (*RemoteProber, error) {
	c := NewAgentContainer(name, image, "probe", l)
	c.HostConfig.NetworkMode = where
	a, err := StartAgent(ctx, api, c)
	if err != nil {
		return nil, fmt.Errorf("asking from %s: %w", where, err)
	}
	return NewRemoteProber(ctx, a), nil
}

// newRemoteProber talks to an agent in the role probe.
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

// replyMargin is how long after the end of its work a reply may take: the agent
// has begun later, by what it takes to tell it, and is told to stop in the same
// way.
const replyMargin = 2 * time.Second

// Run implements Prober. When ctx is cancelled, the agent is told to stop; it knows
// the deadline itself. In both cases it replies with what it has measured by then.
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
		return nil, fmt.Errorf("container %s did not tell what it has measured within %s", p.Agent.Name, replyMargin)
	}
}

// request sends a request under a number of its own.
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

// Sockets lists the TCP sockets that listen in the prober's network namespace.
// What holds for the errors of the function of that name holds here.
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
