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
	Race      netprobe.Race `json:"race"`      // to run, unless one of the others is set
	Hold      *HoldRequest  `json:"hold"`      // open connections
	Listeners bool          `json:"listeners"` // list the listening sockets
	Own       bool          `json:"own"`       // with Listeners: only those of the processes in the agent's PID namespace
	Traffic   uint16        `json:"traffic"`   // list the connections of this port
	Baseline  bool          `json:"baseline"`  // with Traffic: list none, and later only those that come from now on
	Stop      bool          `json:"stop"`      // end the request with this number now
}

// HoldRequest asks for connections to addresses. They are open from the first reply until
// the request is stopped; then there is a second reply.
type HoldRequest struct {
	Addresses []string      `json:"addresses"`
	Timeout   time.Duration `json:"timeout"` // to open them
}

// ProbeReply is the result of a ProbeRequest.
type ProbeReply struct {
	Number    int                        `json:"number"`
	Results   []netprobe.Result          `json:"results,omitempty"`
	Held      []netprobe.HeldConnection  `json:"held,omitempty"`
	Listeners *Read[listening.Listeners] `json:"listeners,omitempty"`
	Traffic   *Read[listening.Traffic]   `json:"traffic,omitempty"`
}

// Read is what was read of the agent's network namespace.
type Read[T any] struct {
	Found T      `json:"found"`
	Error string `json:"error,omitempty"` // if not empty, nothing is known
}

func (r *Read[T]) result() (T, error) {
	switch {
	case r == nil:
		return *new(T), errors.New("the agent did not list the sockets")
	case r.Error != "":
		return *new(T), errors.New(r.Error)
	default:
		return r.Found, nil
	}
}

// RemoteProber uses an agent in a container, which is on a network, or in the network
// namespace of a running container, and does not change that. It sends probes from there,
// and reads the sockets there.
type RemoteProber struct {
	Agent *Agent

	own     bool // it is in the PID namespace of the server
	mu      sync.Mutex
	number  int
	waiting map[int]chan ProbeReply
	lost    chan struct{} // closed when no further reply can arrive
	err     error         // why; set before lost is closed
}

// HelperBytes is the size, in bytes, of the random part of a helper's name: of ten helpers
// of one run, two have the same name once in a hundred million runs.
const HelperBytes = 4

// StartProber starts the agent on a network, or in the network namespace of a container or
// of the engine's host. It receives replies until watching ends. The caller removes the
// container by its name, even after an error.
func (e Engine) StartProber(ctx, watching context.Context, name, image string, where container.NetworkMode, l Labels) (*RemoteProber, error) {
	c := NewAgentContainer(name, image, "probe", l)
	c.HostConfig.NetworkMode = where
	a, err := e.StartAgent(ctx, watching, c)
	if err != nil {
		return nil, fmt.Errorf("starting a helper in network %s: %w", where, err)
	}
	return NewRemoteProber(watching, a), nil
}

// NetworkOf returns the network mode that shares the network of a container, which may be on
// the network of the engine's host. Podman in a user namespace cannot join that network by way
// of a container: the host's network namespace belongs to another user (setns(2)).
func (e Engine) NetworkOf(id string, onHost bool) container.NetworkMode {
	if onHost && e.isPodman() {
		return container.NetworkMode("host")
	}
	return container.NetworkMode("container:" + id)
}

// StartContainerProber starts the agent in the network and PID namespaces of a container.
// Sockets then lists those of the container's processes only, which matters on the host's
// network. The agent needs CAP_SYS_PTRACE and CAP_SETUID to see which sockets a process of
// another user has.
func (e Engine) StartContainerProber(ctx, watching context.Context, name, image, id string, onHost bool, l Labels) (*RemoteProber, error) {
	c := NewAgentContainer(name, image, "probe", l)
	c.Config.User = "0:0"
	c.HostConfig.CapAdd = []string{"SYS_PTRACE", "SETUID"}
	c.HostConfig.NetworkMode = e.NetworkOf(id, onHost)
	c.HostConfig.PidMode = container.PidMode("container:" + id)
	a, err := e.StartAgent(ctx, watching, c)
	if err != nil {
		return nil, fmt.Errorf("starting a helper in the namespaces of the server: %w", err)
	}
	p := NewRemoteProber(watching, a)
	p.own = true
	return p, nil
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
	reply := make(chan ProbeReply, 2) // a hold has two
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

// Sockets lists the sockets that listen in the prober's network namespace; those of the
// container's processes only, if they can be told apart. After an error nothing is known
// about them.
func (p *RemoteProber) Sockets(ctx context.Context) (listening.Listeners, error) {
	reply, err := p.ask(ctx, ProbeRequest{Listeners: true, Own: p.own})
	if err != nil {
		return listening.Listeners{}, err
	}
	return reply.Listeners.result()
}

// Traffic lists the connections of a TCP port in the prober's network namespace that were
// not there at the last baseline.
func (p *RemoteProber) Traffic(ctx context.Context, port uint16) (listening.Traffic, error) {
	return p.traffic(ctx, ProbeRequest{Traffic: port})
}

// Baseline reads the traffic of a TCP port without connections. Traffic leaves out those
// that are there now.
func (p *RemoteProber) Baseline(ctx context.Context, port uint16) (listening.Traffic, error) {
	return p.traffic(ctx, ProbeRequest{Traffic: port, Baseline: true})
}

func (p *RemoteProber) traffic(ctx context.Context, request ProbeRequest) (listening.Traffic, error) {
	reply, err := p.ask(ctx, request)
	if err != nil {
		return listening.Traffic{}, err
	}
	return reply.Traffic.result()
}

// ask sends a request and waits for its reply until ctx ends.
func (p *RemoteProber) ask(ctx context.Context, request ProbeRequest) (ProbeReply, error) {
	number, replies, err := p.request(request)
	if err != nil {
		return ProbeReply{}, err
	}
	defer p.forget(number)
	return p.await(ctx, replies, 0)
}

// replyLimit is how long a reply may take, besides the work itself. It took 2 ms, and 0.4 s
// from a helper that was being started. An engine may say that a helper runs, and it does not.
const replyLimit = 10 * time.Second

func (p *RemoteProber) await(ctx context.Context, replies <-chan ProbeReply, work time.Duration) (ProbeReply, error) {
	late := fmt.Errorf("container %s did not reply within %s", p.Agent.Name, work+replyLimit)
	ctx, cancel := context.WithTimeoutCause(ctx, work+replyLimit, late)
	defer cancel()
	select {
	case reply := <-replies:
		return reply, nil
	case <-p.lost:
		return ProbeReply{}, p.err
	case <-ctx.Done():
		return ProbeReply{}, context.Cause(ctx)
	}
}

// Hold opens connections to addresses from the agent's network, and returns them when
// each is open or has failed, which takes at most the timeout. The caller calls release,
// which closes them, and returns them with what has become of them.
func (p *RemoteProber) Hold(ctx context.Context, addresses []string, timeout time.Duration) (held []netprobe.HeldConnection, release func(context.Context) ([]netprobe.HeldConnection, error), err error) {
	number, replies, err := p.request(ProbeRequest{Hold: &HoldRequest{addresses, timeout}})
	if err != nil {
		return nil, nil, err
	}
	reply, err := p.await(ctx, replies, timeout)
	if err != nil {
		p.forget(number)
		return nil, nil, err
	}
	release = func(ctx context.Context) ([]netprobe.HeldConnection, error) {
		defer p.forget(number)
		if err := p.send(ProbeRequest{Number: number, Stop: true}); err != nil {
			return nil, err
		}
		reply, err := p.await(ctx, replies, 0)
		return reply.Held, err
	}
	return reply.Held, release, nil
}
