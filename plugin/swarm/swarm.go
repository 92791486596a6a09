package swarm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// VantageNode and a node's name is the vantage of the helper on that node.
const VantageNode = "node:"

// Options are what an experiment on the nodes of a Swarm needs to know beyond
// the server.
type Options struct {
	Progress engine.Progress
	Manager  Manager // the same engine's API for its Swarm
	// Reach puts the agent image on those engines of the nodes that the user's
	// docker contexts lead to, and returns what it found, by the id of the node. A
	// node that no context leads to has no entry.
	Reach func(ctx context.Context, nodes []string) map[string]ReachedNode
	// AgentReference is the reference of the agent image for an OS and a CPU.
	AgentReference func(os, arch string) (string, error)
}

// ReachedNode is the engine of a node, reached by a docker context.
type ReachedNode struct {
	Context string
	Image   string // id of the agent image there; empty if it could not be put there
	Err     error  // why not
}

// Run starts a built-in server on every node of a Swarm, on an overlay network
// and with a port of its node, and has a helper on every node try each of them. The
// engine is to be a manager. The Report and the error are as those of [Run]; a node
// that takes no part is a result, not an error.
func Run(ctx context.Context, eng engine.Engine, spec experiment.Spec, options Options) (*report.Report, error) {
	ctx = engine.WithBudget(ctx)
	started := time.Now()
	r := &nodesRun{engine: eng, spec: spec, options: options, report: report.New("run"), id: engine.NewID(), token: engine.NewToken(engine.IdentityBytes), services: map[string]string{}}
	err := r.measure(ctx)
	err = errors.Join(err, r.cleanUp(ctx, err != nil))
	r.report.Timings.TotalMS = report.Milliseconds(time.Since(started))
	return r.report, err
}

// nodesRun is the state of one experiment on nodes.
type nodesRun struct {
	engine  engine.Engine
	spec    experiment.Spec
	options Options
	report  *report.Report
	id      string
	token   string // that identities begin with
	labels  engine.Labels

	self     swarm.Info // of the manager that is asked
	nodes    []*node
	images   []nodeImage
	port     uint16            // of each node, at which its server is published
	network  string            // empty until it is made
	made     []string          // names of all services that were made, or may have been
	services map[string]string // the names of those that were, by id
	sent     NodeWork          // what the helpers were told to do
}

func (r *nodesRun) measure(ctx context.Context) error {
	var err error
	if r.self, err = managerInfo(ctx, r.options.Manager); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		described, err := r.engine.Describe(ctx)
		r.report.Endpoint = described.Endpoint
		return err
	})
	group.Go(func() error {
		engine.Sweep(ctx, r.engine.API, r.id, time.Now(), r.options.Progress)
		return nil
	})
	group.Go(func() error { return r.startAndProbe(ctx) })
	return group.Wait()
}

func (r *nodesRun) startAndProbe(ctx context.Context) error {
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
	r.conclude(err == nil)
	return err
}

// nodesMargin is added to what a run may take: two rounds of containers on all
// nodes, where those of one engine are one round.
const nodesMargin = time.Minute

// prepare learns of the nodes, makes the image available and then the network.
func (r *nodesRun) prepare(ctx context.Context) error {
	defer r.options.Progress.Step("Putting the agent image on the nodes")()
	if err := r.listNodes(ctx); err != nil {
		return err
	}
	if err := r.ensureImages(ctx); err != nil {
		return err
	}
	r.labels = r.spec.Labels(r.id, time.Now(), r.spec.Wait, nodesMargin) // each round may take the wait
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	creating, cancel := engine.Outlast(ctx) // see server.create
	defer cancel()
	r.network = engine.NetworkName(r.id)
	_, err := r.engine.API.NetworkCreate(creating, r.network, network.CreateOptions{
		Driver:     "overlay",
		Attachable: true, // for a look at it from a container of one's own
		Labels:     r.labels.Values(),
	})
	if errdefs.IsConflict(err) {
		r.network = "" // it is somebody else's, and stays
	}
	if err != nil {
		return fmt.Errorf("creating the overlay network: %w", err)
	}
	return nil
}

// conclude fills in the rows' causes, the best address of each server from each
// node, and whether all is well.
func (r *nodesRun) conclude(measured bool) {
	for _, n := range r.nodes {
		r.report.Servers = append(r.report.Servers, r.describe(n))
		r.report.Probes = append(r.report.Probes, r.rows(n)...)
	}
	if !measured {
		return
	}
	r.report.Findings = diagnosis.ExplainNodes(r.facts(), r.report.Probes)
	r.report.OK = true
	for _, from := range r.nodes {
		own := slices.DeleteFunc(slices.Clone(r.report.Probes), func(p report.Probe) bool { return p.Vantage != from.vantage() })
		for to, server := range r.nodes {
			b, ok := experiment.PickBest(to, own, lastingOnNodes, r.spec.Path)
			if ok {
				r.report.Best = append(r.report.Best, b)
			}
			// One that is down counts: what is cut off is down some seconds later.
			if from.wanted() && server.wanted() && !ok {
				r.report.OK = false
			}
		}
	}
}

// lastingOnNodes ranks the ways from node to node. The port of a node survives
// the container behind it; the container's name and address go with it.
var lastingOnNodes = []report.Kind{
	report.KindPublishedEngineHost,
	report.KindContainerName,
	report.KindContainerIP,
}

// drainLimit bounds the wait for the nodes to remove their containers, which took
// 5 to 7 s. A node that takes longer goes on by itself.
const drainLimit = engine.InterruptedLimit

// cleanUp removes what the run made; see clearUp.
func (r *nodesRun) cleanUp(ctx context.Context, failed bool) error {
	if r.network == "" {
		return nil
	}
	began := time.Now()
	defer func() { r.report.Timings.CleanupMS = report.Milliseconds(time.Since(began)) }()
	defer r.options.Progress.Step("Removing what was started on the nodes")()
	if err := engine.CleanUp(ctx, failed, r.removeServices); err != nil {
		return err
	}
	return engine.CleanUpRun(ctx, failed, func(ctx context.Context) error { return engine.RemoveNetwork(ctx, r.engine.API, r.network) })
}

// removeServices removes the services, and waits for their containers to go.
func (r *nodesRun) removeServices(ctx context.Context) error {
	var group errgroup.Group
	for _, name := range r.made {
		group.Go(func() error { return engine.RemoveService(ctx, r.engine.API, name) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.drain(ctx)
	return nil
}
