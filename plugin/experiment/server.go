package experiment

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// server is one server container of a run.
type server struct {
	run      *run
	index    int
	name     string
	image    string
	identity string // the token that the built-in server answers with
	labels   engine.Labels

	id     string
	taken  bool          // another container has the name
	lease  *engine.Lease // of the built-in server, unless it is kept
	exited <-chan engine.Exit
	found  facts.Container
	exit   *report.Fault // how the server exited before it answered; nil if it has not

	unlimited bool // the engine cannot set the limits of the built-in server

	witness     *engine.RemoteProber     // in its network namespace; nil if it was not started
	witnessName string                   // of its container; empty if there is none
	watched     map[string]facts.Watched // what the witness saw, by vantage
}

func newServer(r *run, index int) *server {
	s := &server{
		run:    r,
		index:  index,
		image:  r.plan.Image,
		labels: r.labels,
		found:  facts.ReadContainer(container.InspectResponse{}, r.plan.Port), // until it has started
		name:   fmt.Sprintf("nestprobe-%s-%d", r.name, index+1),
	}
	switch {
	case !r.request.Builtin():
	case index < len(r.options.Identities):
		s.identity = r.options.Identities[index]
	default:
		s.identity = engine.NewToken(engine.IdentityBytes)
	}
	return s
}

// start creates the container, takes its lease, begins to watch it, starts it and reads
// its addresses. It ends with ctx; the container is watched until watching ends.
func (s *server) start(ctx, watching context.Context) error {
	if !s.run.request.Builtin() {
		return s.startOnce(ctx, watching)
	}
	return s.run.engine.StartLimited(ctx, s.name, s.run.plan.Bindings, func(limited bool) (*engine.Lease, error) {
		s.unlimited = !limited
		err := s.startOnce(ctx, watching)
		return s.lease, err
	})
}

func (s *server) startOnce(ctx, watching context.Context) error {
	api := s.run.engine.API
	if err := s.create(ctx); err != nil {
		return err
	}
	if s.leased() {
		var err error
		if s.lease, err = engine.TakeLease(ctx, api, s.id, nil); err != nil {
			return engine.AttachFault(ctx, api, "the server", s.id, err)
		}
	}
	s.exited = engine.WatchExit(watching, api, s.id)
	s.run.begin()
	if err := api.ContainerStart(ctx, s.id, container.StartOptions{}); err != nil {
		return s.startFault(ctx, err)
	}
	return s.inspect(ctx)
}

// startFault returns the error of starting the server, as a Fault if the cause is known.
func (s *server) startFault(ctx context.Context, err error) error {
	err = engine.StartFault("the server", err)
	if known := new(report.Fault); errors.As(err, &known) {
		s.run.engine.CorrectPlatform(ctx, known, s.image)
	}
	return err
}

// config returns the settings of the server's container, on the first of its networks.
func (s *server) config() (*container.Config, *container.HostConfig, *network.NetworkingConfig) {
	request, first := s.run.request, s.run.serverNetworks()[0]
	config := &container.Config{
		Image:        s.image,
		Entrypoint:   request.Entrypoint,
		Cmd:          request.Command,
		Env:          s.run.options.ServerEnv,
		User:         request.User,
		Hostname:     request.Hostname,
		Volumes:      request.Volumes,
		ExposedPorts: s.run.plan.Exposed,
		Labels:       s.labels.Values(),
	}
	hostConfig := &container.HostConfig{
		PortBindings:    s.run.plan.Bindings,
		PublishAllPorts: request.PublishAll,
		Binds:           request.Binds,
		ExtraHosts:      request.AddHosts,
		NetworkMode:     container.NetworkMode(first.Name),
	}
	if request.Builtin() {
		s.configureBuiltin(config, hostConfig)
	}
	if first.Endpoint == nil {
		return config, hostConfig, nil
	}
	endpoints := map[string]*network.EndpointSettings{first.Name: first.Endpoint}
	return config, hostConfig, &network.NetworkingConfig{EndpointsConfig: endpoints}
}

// configureBuiltin gives the built-in server the least it needs: a read-only file system,
// no capability, no shared memory, little memory and few threads, and no log on the
// engine's disk if the lease carries its output.
func (s *server) configureBuiltin(config *container.Config, hostConfig *container.HostConfig) {
	plan := s.run.plan
	config.Cmd = []string{
		"serve",
		"--port", strconv.Itoa(int(plan.Port)),
		"--scheme", string(s.run.request.Target.Scheme),
		"--identity", s.identity,
	}
	hostConfig.ReadonlyRootfs = true
	hostConfig.CapDrop = []string{"ALL"}
	hostConfig.SecurityOpt = []string{"no-new-privileges"}
	hostConfig.IpcMode = container.IPCModeNone
	if !s.unlimited {
		hostConfig.Resources = engine.AgentLimits()
	}
	if !s.leased() {
		return
	}
	hostConfig.AutoRemove = true
	hostConfig.LogConfig.Type = "none"
	config.Cmd = append(config.Cmd, "--lease")
	config.Cmd = append(config.Cmd, "--deadline", s.labels.Lifetime.String())
	config.OpenStdin, config.StdinOnce, config.AttachStdin = true, true, true
	config.AttachStdout, config.AttachStderr = true, true
}

func (s *server) createOnce(ctx context.Context) error {
	creating, cancel := engine.Extend(ctx, engine.CreateGrace)
	defer cancel()
	config, hostConfig, networking := s.config()
	created, err := s.run.engine.API.ContainerCreate(creating, config, hostConfig, networking, s.run.request.Platform, s.name)
	s.id = created.ID
	s.taken = engine.NameIsTaken(err)
	return err
}

// inspect reads the addresses of the started container. A container that is removed when
// it exits may be gone already; the watch then returns how it exited.
func (s *server) inspect(ctx context.Context) error {
	response, err := s.run.engine.API.ContainerInspect(ctx, s.id)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("inspecting the server: %w", err)
	}
	s.found = facts.ReadContainer(response, s.run.plan.Port)
	return nil
}

// networkNames returns the networks on which the started container is.
func (s *server) networkNames() []string {
	names := make([]string, len(s.found.Networks))
	for i, n := range s.found.Networks {
		names[i] = n.Name
	}
	return names
}

// leased says whether the server lives only as long as this process.
func (s *server) leased() bool {
	return s.run.request.Builtin() && !s.run.plan.Keep
}

// create creates the container. A request that has been sent is not cancelled
// immediately, because it would not be known whether the engine has created the
// container.
func (s *server) create(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err := s.createOnce(ctx)
	if errdefs.IsNotFound(err) && s.run.request.Builtin() {
		// A plugin of another version has replaced the agent's image by its own.
		if s.image, err = s.run.engine.AgentImage(ctx); err != nil {
			return err
		}
		err = s.createOnce(ctx)
	}
	if err != nil {
		return engine.CreateFault("the server", err)
	}
	// Engines before API 1.44 take only one network when a container is created.
	for _, n := range s.run.serverNetworks()[1:] {
		if err := s.run.engine.API.NetworkConnect(ctx, n.Name, s.id, n.Endpoint); err != nil {
			return fmt.Errorf("connecting the server to network %s: %w", n.Name, err)
		}
	}
	return nil
}

// describe returns the server as a part of the Report.
func (s *server) describe() report.Server {
	return report.Server{
		ID:        s.id,
		Name:      s.name,
		Image:     s.image,
		Builtin:   s.run.request.Builtin(),
		Port:      s.run.plan.Port,
		Networks:  s.found.ReportNetworks,
		Published: s.found.Published,
	}
}

// health returns what the health check of the image says; nothing if it has none, or if
// that is not known.
func (s *server) health(ctx context.Context) []report.Check {
	if !s.run.plan.Health || s.id == "" || s.hasExited() {
		return nil
	}
	response, err := s.run.engine.API.ContainerInspect(ctx, s.id)
	if err != nil {
		return nil // it only adds detail
	}
	if check, ok := engine.HealthCheck(s.name, response.State); ok {
		return []report.Check{check}
	}
	return nil
}

// hasExited says whether the server exited before it answered.
func (s *server) hasExited() bool { return s.exit != nil }

// exitFault says how a server ended, with its last output and whether the kernel killed it for
// using too much memory.
func (s *server) exitFault(ctx context.Context, e engine.Exit) (*report.Fault, error) {
	if s.lease != nil {
		s.lease.Release()
		e.Lines = s.lease.Output.Lines()
		return e.Fault(s.name), nil
	}
	api := s.run.engine.API
	response, err := api.ContainerInspect(ctx, s.id)
	if err != nil {
		return nil, fmt.Errorf("inspecting the server that exited: %w", err)
	}
	if response.State != nil {
		e.OOMKilled = response.State.OOMKilled
	}
	e.Lines = engine.LastLog(ctx, api, s.id, engine.HasTerminal(response))
	fault := e.Fault(s.name)
	s.run.engine.CorrectPlatform(ctx, fault, s.image)
	return fault, nil
}
