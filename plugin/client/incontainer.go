package client

import (
	"context"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// RunInContainer has client containers run the experiment, one for each access
// that is tried. What holds for the Report of Run holds for its Report. An
// access that does not work is a result, not an error.
func RunInContainer(ctx context.Context, eng engine.Engine, spec experiment.Spec, client ClientSpec, progress engine.Progress) (*report.Report, error) {
	started := time.Now()
	ctx = engine.WithBudget(ctx)
	r := &inContainerRun{
		engine:   eng,
		spec:     spec,
		client:   client,
		progress: progress,
		report:   report.New("in-container"),
		soFar:    report.New("in-container"),
		labels:   engine.Labels{Run: client.ID}, // the rest with each client
	}
	err := r.measure(ctx)
	r.report.Timings.TotalMS = report.Milliseconds(time.Since(started))
	return r.report, err
}

// inContainer is the state of one experiment in containers.
type inContainerRun struct {
	engine   engine.Engine
	spec     experiment.Spec
	client   ClientSpec
	progress engine.Progress
	report   *report.Report
	labels   engine.Labels

	image       string // of the client
	binary      []byte // of the agent, if the client's image does not have it
	description connection.Description
	modesOK     bool           // a client has found all well with the network modes
	soFar       *report.Report // what a client that may not get to its outcome has told
}

func (r *inContainerRun) measure(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		engine.Sweep(ctx, r.engine.API, r.client.ID, time.Now(), r.progress)
		return nil
	})
	group.Go(func() error {
		if err := r.prepare(ctx); err != nil {
			return err
		}
		return r.tryAccesses(ctx)
	})
	return group.Wait()
}

// prepare learns about the engine and makes the client's image available.
func (r *inContainerRun) prepare(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		var err error
		r.description, err = r.engine.Describe(ctx)
		r.report.Endpoint = r.description.Endpoint
		return err
	})
	group.Go(func() error { return r.clientImage(ctx) })
	return group.Wait()
}

// clientImage makes the client's image available.
func (r *inContainerRun) clientImage(ctx context.Context) error {
	var err error
	if r.client.Image == "" {
		r.image, err = r.engine.AgentImage(ctx)
		return err
	}
	r.image = r.client.Image
	wanted := engine.Image{Ref: r.image, Pull: r.spec.Pull}
	if _, err = wanted.Ensure(ctx, r.engine, r.progress); err != nil {
		return err
	}
	r.binary, err = r.engine.AgentBinary(ctx)
	return err
}

// allReached says whether there is a best address for every server from where it
// matters: through a relay from the host, else from a client.
func (r *inContainerRun) allReached() bool {
	reached := map[int]bool{}
	for _, best := range r.report.Best {
		if !r.client.Relay || best.Vantage == experiment.VantageHost {
			reached[best.Server] = true
		}
	}
	return len(r.report.Servers) > 0 && len(reached) == len(r.report.Servers)
}

// remove removes a client, and whatever it has started and not removed itself.
func (r *inContainerRun) remove(ctx context.Context, failed bool, names ...string) error {
	return engine.CleanUpRun(ctx, failed, func(ctx context.Context) error {
		for _, name := range names {
			if err := engine.RemoveContainer(ctx, r.engine.API, name); err != nil {
				return err
			}
		}
		return removeRun(ctx, r.engine.API, r.client.ID)
	})
}

// removeRun removes whatever carries the id of a run.
func removeRun(ctx context.Context, api engine.API, id string) error {
	label := filters.NewArgs(filters.Arg("label", engine.LabelRun+"="+id))
	var containers []container.Summary
	err := engine.Persist(ctx, func() (err error) {
		containers, err = engine.ListContainers(ctx, api, label)
		return err
	})
	if err != nil {
		return fmt.Errorf("listing what the run has started: %w", err)
	}
	group, removing := errgroup.WithContext(ctx)
	for _, c := range containers {
		group.Go(func() error { return engine.RemoveContainer(removing, api, c.ID) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var networks []network.Summary
	err = engine.Persist(ctx, func() (err error) {
		networks, err = api.NetworkList(ctx, network.ListOptions{Filters: label})
		return err
	})
	if err != nil {
		return fmt.Errorf("listing what the run has started: %w", err)
	}
	for _, n := range networks {
		if err := engine.RemoveNetwork(ctx, api, n.ID); err != nil {
			return err
		}
	}
	return nil
}
