package client

import (
	"context"
	"errors"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// RunFromContainer runs the experiment with probes from the network namespace of a running
// container, which a helper container shares. It does not touch the running container. Its
// Report and its error are those of [experiment.Run].
func RunFromContainer(ctx context.Context, eng engine.Engine, spec experiment.Spec, target string, progress engine.Progress) (*report.Report, error) {
	ctx = engine.WithBudget(ctx)
	vantage, err := experiment.ContainerVantage(ctx, eng.API, target)
	if err != nil {
		return report.New("in-container"), err
	}
	id := engine.NewID()
	name := "nestprobe-" + id + "-from"
	starting, started, end := withReportGrace(ctx)
	defer end()
	pending := &pendingProber{ready: make(chan struct{})}
	go func() { // closes pending.ready, which is awaited below
		defer close(pending.ready)
		image, err := eng.AgentImage(starting)
		if err == nil {
			pending.prober, err = engine.StartProber(starting, eng.API, name, image, container.NetworkMode("container:"+vantage.Container), spec.Labels(id, time.Now(), spec.PullAllowance()))
		}
		started()
		pending.err = err
	}()
	vantage.Prober = pending
	measured, err := experiment.Run(ctx, eng, spec, experiment.Options{Progress: progress, Vantage: vantage, ID: id})
	measured.Command = "in-container"
	<-pending.ready
	err = errors.Join(err, pending.end(ctx, err != nil, eng.API, name))
	if err == nil && !spec.Keep { // with Keep, the command to remove the servers is still to be printed
		err = context.Cause(ctx) // an interrupt during the clean-up
	}
	return measured, err
}

// pendingProber is a prober that starts in parallel with the servers.
type pendingProber struct {
	ready  chan struct{}
	prober *engine.RemoteProber // set before ready is closed
	err    error
}

// Run implements [experiment.Prober].
func (p *pendingProber) Run(ctx context.Context, race netprobe.Race) ([]netprobe.Result, error) {
	select {
	case <-p.ready:
	case <-ctx.Done():
		return make([]netprobe.Result, len(race.Attempts)), nil
	}
	if p.err != nil {
		return nil, p.err
	}
	return p.prober.Run(ctx, race)
}

// end removes the helper. It waits less long after a failed run, whose engine may be gone.
func (p *pendingProber) end(ctx context.Context, failed bool, api engine.API, name string) error {
	if p.prober != nil {
		p.prober.Agent.Lease.Release()
	}
	return engine.CleanUp(ctx, failed || p.err != nil, func(ctx context.Context) error { return engine.RemoveContainer(ctx, api, name) })
}
