package client

import (
	"context"
	"errors"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// RunFromContainer runs the experiment with probes from the network namespace of a running
// container, which a helper container shares. It does not touch the running container. Its
// Report and its error are those of [experiment.Run].
func RunFromContainer(ctx context.Context, eng engine.Engine, request experiment.Request, target string, options experiment.Options) (*report.Report, error) {
	vantage, err := probing.ContainerVantage(ctx, eng.API, target)
	if err != nil {
		return report.New("in-container"), err
	}
	if request.Target.Scheme == netprobe.HTTPS && !request.Builtin() {
		vantage.Roots = request.Roots
		if response, err := eng.API.ContainerInspect(ctx, vantage.Container); err == nil {
			if roots, err := facts.ContainerRoots(ctx, eng.API, response); err == nil {
				vantage.Roots = roots.PEM
			} else {
				options.Progress.Note(err.Error() + "; what this machine trusts is used instead")
			}
		}
	}
	id := eng.NewRun()
	name := "nestprobe-" + id + "-from"
	receiving, end := engine.Extend(ctx, reportGrace)
	defer end()
	pending := &pendingProber{ready: make(chan struct{})}
	scope := engine.NewScope()
	scope.Undo(func(ctx context.Context) error {
		var lease *engine.Lease
		if pending.prober != nil {
			lease = pending.prober.Agent.Lease
			lease.Release()
		}
		return engine.RemoveContainer(ctx, eng.API, name, lease)
	})
	go func() { // closes pending.ready, which is awaited below
		defer close(pending.ready)
		image, err := eng.AgentImage(ctx)
		if err == nil {
			where := container.NetworkMode("container:" + vantage.Container)
			pending.prober, err = eng.StartProber(ctx, receiving, name, image, where, request.Labels(id, time.Now(), request.PullAllowance()))
		}
		pending.err = err
	}()
	vantage.Prober = pending
	options.Vantage, options.ID, options.Scope = vantage, id, scope
	if show := options.OnMeasured; show != nil {
		options.OnMeasured = func(measured *report.Report) {
			measured.Command = "in-container"
			show(measured)
		}
	}
	measured, err := experiment.Run(ctx, eng, request, options)
	measured.Command = "in-container"
	<-pending.ready
	closeErr := scope.Close(ctx, err != nil || pending.err != nil) // after a failed run the engine may be gone
	if request.Keep && !errors.As(closeErr, new(*engine.CleanUpError)) {
		return measured, err // the command to remove the servers is still to be printed
	}
	return measured, errors.Join(err, closeErr)
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

// Hold implements the interface Holder of package witness.
func (p *pendingProber) Hold(ctx context.Context, addresses []string, timeout time.Duration) (held []netprobe.HeldConnection, release func(context.Context) ([]netprobe.HeldConnection, error), err error) {
	select {
	case <-p.ready:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	if p.err != nil {
		return nil, nil, p.err
	}
	return p.prober.Hold(ctx, addresses, timeout)
}
