package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ClientSpec says what the client container is and how it gets the Docker API.
type ClientSpec struct {
	Access Access
	// SocketPath is the engine's socket on the engine's host, which depends on
	// whether the engine runs in a VM that Docker Desktop keeps.
	SocketPath func(desktop bool) string
	// CheckSocket says whether it is safe to mount the path with an engine that
	// makes a directory of a source that is missing.
	CheckSocket func(path string) error
	// SocketEndpoint and UserEndpoint are the settings of an API, as a client
	// gets them over its stdin; secrets included.
	SocketEndpoint json.RawMessage
	UserEndpoint   json.RawMessage
	// NestedEndpoint is that of NestedEndpoint in the same form.
	NestedEndpoint json.RawMessage
	// NoUserEndpoint is why there is no UserEndpoint.
	NoUserEndpoint error

	ID string // of the run, which names and labels carry

	Relay     bool // the client is a runner that starts servers on demand
	KeepRelay bool // and goes on when this process ends

	DindImage string // of the nested engine

	Image   string // the user's image; empty for the built-in one
	Env     []string
	User    string // empty for root
	Network experiment.Network
}

// ClientName is the name of the client container of a run that has the access at
// an index of the Report.
func ClientName(run string, access int) string {
	return fmt.Sprintf("nestprobe-%s-client-%d", run, access+1)
}

// runClient starts a client, gives it its work, and waits for its outcome.
func (r *inContainerRun) runClient(ctx context.Context, method Access, name string) (attempt, error) {
	done := r.progress.Step("Starting a client container (access " + string(method) + ")")
	client, err := startWorker(ctx, r.engine.API, r.container(method, name))
	done()
	var fault *report.Fault
	if method == AccessSocket && noSuchSource(err) {
		return failed(method, r.socketMissing(err)), nil
	}
	if errors.As(err, &fault) {
		return attempt{}, fault
	}
	if err != nil {
		return attempt{}, fmt.Errorf("the client container: %w", err)
	}
	defer client.end()
	work := r.work(method, client.ID)
	if method != AccessNone && r.pulls(ctx) {
		work.authorize(ctx, r.engine)
	}
	if err := client.Send(work); err != nil {
		return attempt{}, err
	}
	if r.client.Relay {
		return r.runRelay(ctx, method, client, work.Identities)
	}
	message, err := r.follow(client)
	if err != nil && len(r.soFar.Probes)+len(r.soFar.Modes) > 0 { // it was told to end, and is still clearing up
		return attempt{access: report.Access{Method: string(method), OK: true}, report: r.soFar}, err
	}
	if err != nil {
		return attempt{}, err
	}
	return r.judge(ctx, method, message.Outcome)
}

// worker is an agent with work that may be cut short. It is heard for a moment
// longer than the run lasts, so that it can tell what it has measured.
type worker struct {
	*engine.Agent
	hearing context.Context //nolint:containedctx // outlasts the run's
	end     func()
}

// startWorker starts a client. When ctx ends, it is told to end too.
func startWorker(ctx context.Context, api engine.API, c engine.AgentContainer) (*worker, error) {
	hearing, started, end := linger(ctx)
	a, err := engine.StartAgent(hearing, api, c)
	if err != nil {
		end()
		return nil, err
	}
	started()
	silent := context.AfterFunc(ctx, func() { _ = a.Send(Release{}) })
	return &worker{a, hearing, func() { silent(); end(); a.Lease.Release() }}, nil
}

// tellingLimit is how long a client that was told to end may take to remove its
// servers and tell what it has measured. Commands with up to three servers ended
// 0.4 to 1 s after the interrupt. When a client is at work nothing is being
// created, so this is the same part of what an interrupt may take as
// creatingLimit is.
const tellingLimit = engine.CreateGrace

// linger returns a context for talking to a container. Until that has started it
// ends with ctx, from then on tellingLimit later.
func linger(ctx context.Context) (lasting context.Context, started, end func()) {
	lasting, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	giveUp := func() { cancel(context.Cause(ctx)) }
	stop := context.AfterFunc(ctx, giveUp)
	started = func() {
		if stop() {
			stop = context.AfterFunc(ctx, func() { time.AfterFunc(tellingLimit, giveUp) })
		}
	}
	return lasting, started, func() { stop(); cancel(nil) }
}

// follow shows a client's progress until it is ready or tells its outcome.
func (r *inContainerRun) follow(c *worker) (*Message, error) {
	done := func() {}
	defer func() { done() }()
	for {
		var message Message
		if err := c.Receive(c.hearing, &message); err != nil {
			return nil, err
		}
		switch {
		case message.Step != "":
			done()
			done = r.progress.Step(message.Step)
		case message.Note != "":
			r.progress.Note(message.Note)
		case message.SoFar != nil:
			r.soFar.Add(message.SoFar)
		case message.Ready, message.Measured != nil, message.Outcome != nil:
			return &message, nil
		}
	}
}

func (r *inContainerRun) work(method Access, id string) Work {
	work := Work{
		Run:         r.labels.Run,
		Spec:        r.spec,
		Endpoint:    r.client.SocketEndpoint,
		Host:        r.engine.Host,
		Vantage:     r.vantage(method),
		Container:   id,
		Description: &r.description,
	}
	if method == AccessEndpoint {
		work.Endpoint = r.client.UserEndpoint
	}
	if r.client.Relay {
		work.Vantage, work.Identities = VantageRelay, r.newIdentities()
		work.Spec.Keep, work.Spec.Lasting = false, r.client.KeepRelay
	}
	return work
}

// pulls says whether the client will have its engine, which is this one, pull the user's
// image. An error is the client's to tell.
func (r *inContainerRun) pulls(ctx context.Context) bool {
	if r.spec.PullAllowance() == 0 {
		return false
	}
	_, there, _ := engine.Image{Ref: r.spec.Image, Platform: r.spec.Platform, Pull: r.spec.Pull}.Find(ctx, r.engine.API)
	return !there
}

func (r *inContainerRun) container(method Access, name string) engine.AgentContainer {
	role := "client"
	if r.client.Relay {
		role = "relay"
	}
	c := engine.NewAgentContainer(name, r.image, role, r.labels)
	if r.client.Relay {
		publishRelay(c)
		c.Config.Labels = r.labels.Values() // it may be kept
	}
	c.Config.User = r.client.User
	if c.Config.User == "" {
		c.Config.User = "0:0"
	}
	c.Config.Env = r.client.Env
	if r.binary != nil {
		c.Binary = r.binary
		c.Config.Entrypoint = []string{engine.AgentPath}
		c.HostConfig.ReadonlyRootfs = false // an engine copies nothing into a read-only one
	}
	c.Networking = r.clientNetwork(c.HostConfig)
	if method == AccessSocket {
		// A mount fails where -v would make a directory of a missing source.
		c.HostConfig.Mounts = []mount.Mount{{
			Type: mount.TypeBind, Source: r.socketPath(), Target: SocketInContainer,
		}}
	}
	return c
}

// clientNetwork puts a container on the client's network.
func (r *inContainerRun) clientNetwork(hostConfig *container.HostConfig) *network.NetworkingConfig {
	n := r.client.Network
	if n.Name == "" {
		return nil
	}
	hostConfig.NetworkMode = container.NetworkMode(n.Name)
	if n.Endpoint == nil {
		return nil
	}
	return &network.NetworkingConfig{
		EndpointsConfig: map[string]*network.EndpointSettings{n.Name: n.Endpoint},
	}
}
