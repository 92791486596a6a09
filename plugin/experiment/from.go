package experiment

import (
	"context"
	"errors"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// RunFrom runs the experiment with probes from the network namespace of a
// running container, by a helper that shares it. The container itself is not
// touched. What holds for Run holds here.
func RunFrom(ctx context.Context, engine Engine, spec Spec, target string, progress Progress) (*report.Report, error) {
	ctx = budgeted(ctx)
	vantage, err := fromContainer(ctx, engine.API, target)
	if err != nil {
		return report.New("in-container"), err
	}
	id := NewID()
	name := "nestprobe-" + id + "-from"
	starting, started, end := linger(ctx)
	defer end()
	pending := &pendingProber{ready: make(chan struct{})}
	go func() { // awaited below, by pending.ready
		defer close(pending.ready)
		image, err := engine.AgentImage(starting)
		if err == nil {
			pending.prober, err = startProber(starting, engine.API, name, image, container.NetworkMode("container:"+vantage.Container), spec.labels(id, time.Now(), spec.pulling()))
		}
		started()
		pending.err = err
	}()
	vantage.Prober = pending
	measured, err := Run(ctx, engine, spec, Options{Progress: progress, Vantage: vantage, ID: id})
	measured.Command = "in-container"
	<-pending.ready
	err = errors.Join(err, pending.end(ctx, err != nil, engine.API, name))
	if err == nil && !spec.Keep { // else it is to be told how to remove what was kept
		err = context.Cause(ctx) // see clearUp
	}
	return measured, err
}

// pendingProber is a prober that is being started while the servers are.
type pendingProber struct {
	ready  chan struct{}
	prober *remoteProber // set before ready is closed
	err    error
}

// Run implements Prober.
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

// end removes the helper. A run that has failed may have done so for want of the engine.
func (p *pendingProber) end(ctx context.Context, failed bool, api API, name string) error {
	if p.prober != nil {
		p.prober.agent.lease.release()
	}
	return putAway(ctx, failed || p.err != nil, func(ctx context.Context) error { return removeContainer(ctx, api, name) })
}
