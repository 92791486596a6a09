// Package swarm measures which nodes of a Swarm reach servers on which other nodes: it
// starts a server and a helper on every node as services, and has the helpers probe all
// servers.
//
// The command run calls it. The agent, which runs as server and helper on the nodes, does
// its [NodeWork]. The package must not know of docker/cli, of contexts, of flags, or of
// how a Report is shown.
package swarm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// VantageNode and a node's name are the vantage of the helper on that node.
const VantageNode = "node:"

// Options are what Run needs beyond the engine and the server's request.
type Options struct {
	Progress engine.Progress
	Manager  Manager // the same engine's API for its Swarm
	// Reach connects to the engines of nodes by the user's docker contexts and puts the
	// agent image there. Its result is by the id of the node, with no entry for nodes that
	// no context leads to.
	Reach func(ctx context.Context, nodes []string) map[string]ReachedNode
	// AgentReference returns the reference of the agent image for an OS and a CPU.
	AgentReference func(os, arch string) (string, error)
}

// ReachedNode is the engine of a node, reached by a docker context.
type ReachedNode struct {
	Context string
	Image   string // id of the agent image there; empty if it could not be put there
	Err     error  // why there is no image
}

// Run starts a built-in server on every node of a Swarm, on an overlay network and published
// at a port of its node, and has a helper on every node probe each server. The engine must be
// a manager. The Report and the error are those of [experiment.Run]. A node that takes no
// part is a result, not an error.
func Run(ctx context.Context, eng engine.Engine, request experiment.Request, options Options) (*report.Report, error) {
	started := time.Now()
	r := &run{
		engine:   eng,
		request:  request,
		options:  options,
		report:   report.New("run"),
		id:       eng.NewRun(),
		token:    engine.NewToken(engine.IdentityBytes),
		services: map[string]string{},
	}
	err := r.measure(ctx)
	err = errors.Join(err, r.cleanUp(ctx, err != nil))
	r.report.Timings.TotalMS = report.Milliseconds(time.Since(started))
	return r.report, err
}

// run is the state of one Run.
type run struct {
	engine  engine.Engine
	request experiment.Request
	options Options
	report  *report.Report
	id      string
	token   string // the prefix of all identities
	labels  engine.Labels

	self     swarm.Info // of the manager
	nodes    []*node
	images   []nodeImage
	port     uint16            // of each node, at which its server is published
	network  string            // empty until it is created
	created  []string          // names of all services that were created, or may have been
	services map[string]string // names of the services, by id
	sent     NodeWork          // of all helpers
}

func (r *run) measure(ctx context.Context) error {
	info, err := r.options.Manager.Info(ctx)
	if err != nil {
		return fmt.Errorf("reading the state of the Swarm: %w", err)
	}
	r.self = info.Swarm
	if err := managerError(r.self); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		described, err := r.engine.Describe(ctx)
		r.report.Endpoint = described.Endpoint
		return err
	})
	group.Go(func() error {
		return engine.RemoveLeftovers(ctx, r.engine, r.id, time.Now(), r.options.Progress)
	})
	group.Go(func() error { return r.startAndProbe(ctx) })
	return group.Wait()
}

func (r *run) startAndProbe(ctx context.Context) error {
	began := time.Now()
	if err := r.prepare(ctx); err != nil {
		return err
	}
	r.report.Timings.ImageMS = report.Milliseconds(time.Since(began))
	began = time.Now()
	err := r.startServers(ctx)
	r.report.Timings.StartMS = report.Milliseconds(time.Since(began))
	if err == nil {
		began = time.Now()
		err = r.probe(ctx)
		r.report.Timings.ProbeMS = report.Milliseconds(time.Since(began))
	}
	r.summarize(err == nil)
	return err
}

// nodesMargin is added to the time that a run may take: it starts containers on all nodes
// twice, and a run on one engine once.
const nodesMargin = time.Minute

// prepare lists the nodes, makes the image available and creates the network.
func (r *run) prepare(ctx context.Context) error {
	defer r.options.Progress.Step("Putting the agent image on the nodes")()
	if err := r.listNodes(ctx); err != nil {
		return err
	}
	if err := r.ensureImages(ctx); err != nil {
		return err
	}
	r.labels = r.request.Labels(r.id, time.Now(), r.request.Wait, nodesMargin) // the servers and the helpers may each take as long
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	creating, cancel := engine.Extend(ctx, engine.CreateGrace) // an interrupted request may still create it
	defer cancel()
	r.network = engine.NetworkName(r.id)
	_, err := r.engine.API.NetworkCreate(creating, r.network, network.CreateOptions{
		Driver:     "overlay",
		Attachable: true, // so that users can join it to look around
		Labels:     r.labels.Values(),
	})
	if errdefs.IsConflict(err) {
		r.network = "" // it is not of this run, so it stays
	}
	if err != nil {
		return fmt.Errorf("creating the overlay network: %w", err)
	}
	return nil
}

// removalLimit bounds the wait for the nodes to remove their containers, which took 5 to
// 7 s. A slower node removes them after the run has ended.
const removalLimit = engine.InterruptedLimit

// cleanUp removes the services and the network, whether ctx has ended or not.
func (r *run) cleanUp(ctx context.Context, failed bool) error {
	if r.network == "" {
		return nil
	}
	began := time.Now()
	defer func() { r.report.Timings.CleanupMS = report.Milliseconds(time.Since(began)) }()
	defer r.options.Progress.Step("Removing what was started on the nodes")()
	scope := engine.NewScope()
	scope.Undo(func(ctx context.Context) error { return engine.RemoveNetwork(ctx, r.engine.API, r.network) })
	scope.Undo(r.removeServices)
	return scope.Close(ctx, failed)
}

// removeServices removes the services and waits until their containers are removed.
func (r *run) removeServices(ctx context.Context) error {
	var group errgroup.Group
	for _, name := range r.created {
		group.Go(func() error { return engine.RemoveService(ctx, r.engine.API, name) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.awaitRemoval(ctx)
	return nil
}
