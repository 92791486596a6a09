package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ContainerName is the name of a run's client container for the access at an index of
// Report.Accesses.
func ContainerName(run string, access int) string {
	return fmt.Sprintf("nestprobe-%s-client-%d", run, access+1)
}

// runClient starts a client container, sends it its Job, and waits for its Outcome.
func (r *run) runClient(ctx context.Context, access Access, endpoint json.RawMessage, name string) (accessResult, error) {
	done := r.options.Progress.Step("Starting a client container (access " + string(access) + ")")
	client, err := startWorker(ctx, r.engine, r.newContainer(access, name))
	done()
	var fault *report.Fault
	if access == AccessSocket && isSourceMissing(err) {
		return failedAccess(access, r.socketMissingFault(err)), nil
	}
	if errors.As(err, &fault) {
		return accessResult{}, fault
	}
	if err != nil {
		return accessResult{}, fmt.Errorf("the client container: %w", err)
	}
	defer client.end()
	job := r.newJob(access, endpoint, client.ID)
	if access != AccessNone && r.willPull(ctx) {
		job.addRegistryAuth(ctx, r.engine)
	}
	if err := client.Send(job); err != nil {
		return accessResult{}, err
	}
	if r.options.Relay {
		return r.runRelay(ctx, access, client, job.Identities)
	}
	message, err := r.follow(client)
	if err != nil && len(r.partial.Probes)+len(r.partial.Modes) > 0 { // interrupted, and the client is still cleaning up
		return accessResult{access: report.Access{Method: string(access), OK: true}, report: r.partial}, err
	}
	if err != nil {
		return accessResult{}, err
	}
	return resultOf(ctx, access, message.Outcome)
}

// worker is an agent with a Job. When the run is interrupted, the worker has reportGrace
// more to send what it has measured.
type worker struct {
	*engine.Agent
	receiving context.Context //nolint:containedctx // ends after the run's
	end       func()
}

// startWorker starts an agent. When ctx ends, it interrupts the agent's Job.
func startWorker(ctx context.Context, eng engine.Engine, c engine.AgentContainer) (*worker, error) {
	receiving, end := engine.Extend(ctx, reportGrace)
	a, err := eng.StartAgent(ctx, receiving, c)
	if err != nil {
		end()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = a.Send(Release{}) })
	return &worker{a, receiving, func() { stop(); end(); a.Lease.Release() }}, nil
}

// reportGrace is how long an interrupted client may take to remove its servers and send
// its Outcome. With up to three servers this took 0.4 to 1 s. While a client works, this
// process creates nothing, so this is the same part of an interrupt's time limit as
// engine.CreateGrace.
const reportGrace = engine.CreateGrace

// follow shows a client's progress until it is ready, has measured, or has ended.
func (r *run) follow(c *worker) (*Message, error) {
	done := func() {}
	defer func() { done() }()
	for {
		var message Message
		if err := c.Receive(c.receiving, &message); err != nil {
			return nil, err
		}
		message.translate()
		switch {
		case message.Step != "":
			done()
			done = r.options.Progress.Step(message.Step)
		case message.Note != "":
			r.options.Progress.Note(message.Note)
		case message.SoFar != nil:
			r.partial.Add(message.SoFar)
		case message.Ready, message.Measured != nil, message.Outcome != nil:
			return &message, nil
		}
	}
}

// newJob is the Job of the client container with an id.
func (r *run) newJob(access Access, endpoint json.RawMessage, id string) Job {
	job := Job{
		Run:           r.labels.Run,
		Request:       r.request,
		ServerEnv:     r.options.ServerEnv,
		Endpoint:      endpoint,
		Host:          r.engine.Host,
		NoHost:        access == AccessEndpoint && r.engine.Self.EndpointInContainer(),
		HostAddresses: r.engine.HostAddresses,
		Vantage:       r.vantage(access),
		Container:     id,
		Description:   &r.description,
	}
	if r.options.Relay {
		job.Vantage, job.Identities = VantageRelay, r.newIdentities()
	}
	return job
}

// willPull says whether the client will have the engine pull the user's image. The
// client reports errors about the image itself.
func (r *run) willPull(ctx context.Context) bool {
	if r.request.PullAllowance() == 0 {
		return false
	}
	_, found, _ := engine.Image{Ref: r.request.Image, Platform: r.request.Platform, Pull: r.request.Pull}.Find(ctx, r.engine.API)
	return !found
}

// newContainer returns the settings of the client container.
func (r *run) newContainer(access Access, name string) engine.AgentContainer {
	role := "client"
	if r.options.Relay {
		role = "relay"
	}
	c := engine.NewAgentContainer(name, r.image, role, r.labels)
	if r.options.Relay {
		publishRelay(c)
		c.Config.Labels = r.labels.Values() // it may be kept
	}
	c.Config.User = cmp.Or(r.options.User, "0:0")
	c.Config.Env = r.options.Env
	if r.binary != nil {
		c.Binary = r.binary
		c.Config.Entrypoint = []string{engine.AgentPath}
		c.HostConfig.ReadonlyRootfs = false // an engine copies nothing into a read-only root
	}
	c.Networking = r.joinClientNetwork(c.HostConfig)
	if access == AccessSocket {
		// A mount fails if the source is missing; -v would create a directory there.
		c.HostConfig.Mounts = []mount.Mount{{
			Type: mount.TypeBind, Source: r.socketPath(), Target: socketInContainer,
		}}
	}
	return c
}

// joinClientNetwork puts a container on the client's network.
func (r *run) joinClientNetwork(hostConfig *container.HostConfig) *network.NetworkingConfig {
	n := r.options.Network
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
