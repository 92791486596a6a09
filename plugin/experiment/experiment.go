// Package experiment starts servers in containers, tries every address at
// which they might be reached, and removes what it started. The commands of the
// plugin call [Run]; the agent calls it too, from inside a container. It must
// not know of docker/cli, of flags, or of how a Report is shown.
package experiment

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Options are what an experiment needs to know beyond the servers.
type Options struct {
	Progress engine.Progress
	Vantage  Vantage
	// Identities are what the built-in servers answer with; none for new ones.
	Identities []string
	// Hold is called when all is measured, while the servers still run; they are
	// removed when it returns. nil for nothing to wait for.
	Hold func(ctx context.Context, measured *report.Report) error
	// Tell is called with what would be lost if nobody waited for the end: what was
	// measured of a network mode when it is done, or of a run whose ctx has ended,
	// before the clean-up; by several goroutines at once. nil for nobody to tell.
	Tell func(measured *report.Report)
	// ID is what labels and names of this run carry; empty for a new one.
	ID string

	mode *modeTurn // if the run is for one of several network modes
}

// Run runs one experiment. The Report it returns is never nil and holds
// whatever was measured. An error says that nothing could be measured, or that
// ctx ended; a server that cannot be reached is a result, not an error. Whatever
// Run started is gone when it returns, unless spec.Keep is set and all went
// well.
func Run(ctx context.Context, eng engine.Engine, spec Spec, options Options) (*report.Report, error) {
	if len(spec.Modes) > 0 {
		return runModes(ctx, eng, spec, options)
	}
	started := time.Now()
	ctx = engine.WithBudget(ctx)
	r := newRun(eng, spec, options)
	err := r.measure(ctx)
	if ctx.Err() != nil && options.Tell != nil {
		options.Tell(r.report)
	}
	err = errors.Join(err, r.cleanUp(ctx, err != nil))
	r.report.Timings.TotalMS = report.Milliseconds(time.Since(started))
	return r.report, err
}

// run is the state of one experiment.
type run struct {
	engine   engine.Engine
	spec     Spec
	progress engine.Progress
	id       string
	name     string    // what names of containers and networks carry: the id, and the mode
	mode     *modeTurn // see Options
	ids      []string  // identities
	hold     func(context.Context, *report.Report) error
	report   *report.Report
	labels   engine.Labels

	description connection.Description
	view        view                // from which the servers are to be reached
	peer        *peer               // that is asked from too, if there is one
	peerTaken   bool                // its name is that of somebody else's container
	temporary   engine.NetworkMaker // of the temporary networks
	servers     []*server
	networks    *facts.Networks // their settings
	reaches     []report.Reach
}

func newRun(eng engine.Engine, spec Spec, options Options) *run {
	r := &run{
		engine:   eng,
		spec:     spec,
		progress: options.Progress,
		view:     view{vantage: options.Vantage},
		id:       options.ID,
		mode:     options.mode,
		ids:      options.Identities,
		hold:     options.Hold,
		report:   report.New("run"),
		networks: facts.NewNetworks(eng.API),
	}
	if r.id == "" {
		r.id = engine.NewID()
	}
	r.name = r.id
	if r.mode != nil {
		r.name += "-" + r.mode.name
	}
	return r
}

// learn asks what there is to know besides the servers.
func (r *run) learn(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error {
		var err error
		r.description, err = r.engine.Describe(ctx)
		r.report.Endpoint = r.description.Endpoint
		return err
	})
	group.Go(func() error {
		var err error
		r.view.found, err = r.view.vantage.inspect(ctx, r.engine.API)
		return err
	})
	return group.Wait()
}

func (r *run) measure(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	var facts errgroup.Group // asked for while the servers start
	facts.Go(func() error { return r.learn(ctx) })
	group.Go(facts.Wait)
	group.Go(func() error {
		if r.mode == nil { // else it is done for all modes together
			engine.Sweep(ctx, r.engine.API, r.id, time.Now(), r.progress)
		}
		return nil
	})
	group.Go(func() error {
		if err := r.prepare(ctx); err != nil {
			return err
		}
		if r.mode != nil {
			if err := r.mode.await(ctx); err != nil {
				return err
			}
			defer r.mode.end()
		}
		if err := r.startAndProbe(ctx, facts.Wait); err != nil || r.hold == nil {
			return err
		}
		return r.hold(ctx, r.report)
	})
	return group.Wait()
}

// prepare makes the image available, then the network.
func (r *run) prepare(ctx context.Context) error {
	began := time.Now()
	image, err := r.image(ctx)
	r.report.Timings.ImageMS = report.Milliseconds(time.Since(began))
	if err != nil {
		return err
	}
	var turn time.Duration
	if r.mode != nil {
		turn = r.mode.patience
	}
	r.labels = r.spec.Labels(r.id, time.Now(), turn) // not before: a pull may take long
	for i := range r.spec.Servers {
		r.servers = append(r.servers, newServer(r, i, image))
	}
	return r.createNetworks(ctx)
}

// startAndProbe starts all servers at once and probes each as soon as it has
// started, when the facts are known. They all run until the last is done.
func (r *run) startAndProbe(ctx context.Context, facts func() error) error {
	began := time.Now()
	var started atomic.Int64 // after which time the last server had started
	steps := newSteps(r.progress, len(r.servers), "Starting "+engine.Plural(r.spec.Servers, "server"), "Waiting for an answer")
	defer steps.end()

	results := make([][]report.Probe, len(r.servers))
	group, working := errgroup.WithContext(ctx)
	peer := r.startPeer(ctx) // it is asked after working has ended
	for i, s := range r.servers {
		group.Go(func() error {
			if err := s.start(working, ctx); err != nil {
				return err
			}
			started.Store(int64(time.Since(began)))
			steps.advance()
			if err := errors.Join(facts(), peer()); err != nil {
				return err
			}
			var err error
			results[i], err = s.probe(working)
			return err
		})
	}
	err := group.Wait()
	if peerErr := peer(); err == nil { // waits, whatever became of the servers
		err = peerErr
	}
	r.report.Timings.StartMS = report.Milliseconds(time.Duration(started.Load()))
	r.report.Timings.ProbeMS = report.Milliseconds(time.Since(began) - time.Duration(started.Load()))
	for i, s := range r.servers {
		if err == nil {
			var findings []report.Finding
			var reaches []report.Reach
			findings, reaches, err = r.explain(ctx, s, results[i])
			r.reaches = append(r.reaches, reaches...)
			r.report.Findings = diagnosis.Merge(r.report.Findings, findings)
		}
		r.report.Servers = append(r.report.Servers, s.describe())
		r.report.Probes = append(r.report.Probes, results[i]...)
	}
	r.conclude()
	return err
}
