package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
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
	container := r.newContainer(access, name)
	if r.options.Relay {
		if err := r.publishRelay(ctx, container); err != nil {
			return accessResult{}, err
		}
	}
	done := r.options.Progress.Step("Starting a client container (access " + string(access) + ")")
	client, err := startWorker(ctx, r.engine, container)
	done()
	var fault *report.Fault
	if access == AccessSocket && isSourceMissing(err) {
		return failedAccess(access, r.socketMissingFault(err)), nil
	}
	if errors.As(err, &fault) {
		if r.options.Relay && (fault.Cause == diagnosis.PortInUse || fault.Cause == diagnosis.PortReserved) {
			fault.Setting = report.SettingRelayPublish
		}
		return accessResult{}, fault
	}
	if err != nil {
		return accessResult{}, r.publishError(fmt.Errorf("the client container: %w", err))
	}
	defer client.end()
	if err := r.describe(); err != nil {
		return accessResult{}, err
	}
	job := r.newJob(access, endpoint, client.ID)
	if access != AccessNone && r.willPull(ctx) {
		job.addRegistryAuth(ctx, r.engine)
	}
	if r.options.Relay {
		return r.runRelay(ctx, access, client, job)
	}
	if err := client.sendJob(job); err != nil {
		return accessResult{}, err
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

// jobLimit is how long a client may take from its start to the message that it has read its
// Job. It took 20 ms; on a machine without free processors, some seconds.
const jobLimit = 30 * time.Second

// worker is an agent with a Job. When the run is interrupted, the worker has reportGrace
// more to send what it has measured.
type worker struct {
	*engine.Agent
	receiving context.Context //nolint:containedctx // ends after the run's
	end       func()
}

// startWorker starts an agent. When ctx ends, it interrupts the agent's Job. Nothing is received
// after the lifetime of the run.
func startWorker(ctx context.Context, eng engine.Engine, c engine.AgentContainer) (*worker, error) {
	receiving, release := engine.Extend(ctx, reportGrace)
	late := fmt.Errorf("the agent has not reported within %s, although the engine says that it runs", c.Lifetime)
	receiving, cancel := context.WithTimeoutCause(receiving, c.Lifetime, late)
	end := func() { cancel(); release() }
	a, err := eng.StartAgent(ctx, receiving, c)
	if err != nil {
		end()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = a.Send(Release{}) })
	return &worker{a, receiving, func() { stop(); end(); a.Lease.Release() }}, nil
}

// sendJob sends the worker its Job, and waits until that has been read.
func (w *worker) sendJob(job Job) error {
	if err := w.Send(job); err != nil {
		return err
	}
	return w.ReceiveWithin(w.receiving, jobLimit, new(Message))
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
		case message.Log != "":
			slog.Debug("client container", "log", message.Log)
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
		Debug:         slog.Default().Enabled(context.Background(), slog.LevelDebug),
	}
	if r.binary == nil {
		_, job.AgentDigest, _ = strings.Cut(r.image, ":")
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
	c.BeforeStart = r.begin
	if r.options.Relay {
		c.Config.Labels = r.labels.Values() // it may be kept
	}
	r.setUser(c, access)
	c.Config.Env = withoutCredentials(r.options.Env)
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

// withoutCredentials returns an environment of proxies without their users and passwords. The
// client needs to know which addresses a proxy would catch, and logs in to none: whoever may
// inspect containers reads their environment. A nested engine and the servers of a user's image
// get them as they get them from docker run, because they may have to pull through a proxy.
func withoutCredentials(env []string) []string {
	stripped := make([]string, len(env))
	for i, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		scheme, rest, ok := strings.Cut(value, "://")
		if !ok {
			scheme, rest = "", value
		}
		end := len(rest)
		if path := strings.IndexAny(rest, "/?#"); path >= 0 {
			end = path
		}
		at := strings.LastIndex(rest[:end], "@")
		if at < 0 {
			stripped[i] = variable
			continue
		}
		if ok {
			scheme += "://"
		}
		stripped[i] = name + "=" + scheme + rest[at+1:]
	}
	return stripped
}
