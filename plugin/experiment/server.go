package experiment

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// server is one server container of a run.
type server struct {
	run      *run
	index    int
	name     string
	image    string
	identity string // the token that the built-in server answers with

	id     string
	taken  bool   // the name is that of somebody else's container
	lease  *lease // of the built-in server, unless it is kept
	exited <-chan exit
	found  inspection
	exit   *exit // set when the server exited before it answered
}

func newServer(r *run, index int, image string) *server {
	s := &server{
		run:   r,
		index: index,
		image: image,
		found: read(container.InspectResponse{}, r.spec.Port), // until it has started
		name:  fmt.Sprintf("nestprobe-%s-%d", r.name, index+1),
	}
	switch {
	case !r.spec.Builtin():
	case index < len(r.ids):
		s.identity = r.ids[index]
	default:
		s.identity = token(identityBytes)
	}
	return s
}

// start creates the container, takes its lease, begins to watch it, starts it
// and reads its addresses. The watch lasts as long as watching, the rest is over
// with ctx.
func (s *server) start(ctx, watching context.Context) error {
	api := s.run.engine.API
	if err := s.create(ctx); err != nil {
		return err
	}
	if s.leased() {
		var err error
		if s.lease, err = takeLease(ctx, api, s.id, nil); err != nil {
			return attachFault(ctx, api, "the server", s.id, err)
		}
	}
	s.exited = watch(watching, api, s.id)
	if err := api.ContainerStart(ctx, s.id, container.StartOptions{}); err != nil {
		return startFault("the server", err)
	}
	return s.inspect(ctx)
}

func (s *server) createOnce(ctx context.Context) error {
	creating, cancel := outlast(ctx)
	defer cancel()
	config, hostConfig := s.config()
	created, err := s.run.engine.API.ContainerCreate(creating, config, hostConfig,
		s.networking(), s.run.spec.Platform, s.name)
	s.id = created.ID
	s.taken = nameIsTaken(err)
	return err
}

// inspect reads the addresses of the started container. One that removes itself
// may be gone again already; the watch will tell how it ended.
func (s *server) inspect(ctx context.Context) error {
	response, err := s.run.engine.API.ContainerInspect(ctx, s.id)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("inspecting the server: %w", err)
	}
	s.found = read(response, s.run.spec.Port)
	return nil
}

// leased says whether the server lives only as long as this process.
func (s *server) leased() bool {
	return s.run.spec.Builtin() && !s.run.spec.Keep
}

// create makes the container. A request that is under way is not cancelled at
// once, because nobody could tell what the engine made of it.
func (s *server) create(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err := s.createOnce(ctx)
	if errdefs.IsNotFound(err) && s.run.spec.Builtin() {
		// A plugin of another version has put its own agent in the place of ours.
		if s.image, err = s.run.engine.AgentImage(ctx); err != nil {
			return err
		}
		err = s.createOnce(ctx)
	}
	if err != nil {
		return createFault("the server", err)
	}
	for _, n := range s.moreNetworks() {
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
		Builtin:   s.run.spec.Builtin(),
		Port:      s.run.spec.Port,
		Networks:  s.found.networks,
		Published: s.found.published,
	}
}

// examine adds what can be learnt of a server that exited.
func (s *server) examine(ctx context.Context, e exit) (*exit, error) {
	if s.lease != nil {
		s.lease.release()
		e.lines = s.lease.output.lines()
		return &e, nil
	}
	api := s.run.engine.API
	response, err := api.ContainerInspect(ctx, s.id)
	if err != nil {
		return nil, fmt.Errorf("inspecting the server that exited: %w", err)
	}
	if response.State != nil {
		e.oomKilled = response.State.OOMKilled
	}
	e.lines = lastLog(ctx, api, s.id, hasTerminal(response))
	return &e, nil
}
