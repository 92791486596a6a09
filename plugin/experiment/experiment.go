// Package experiment starts servers in containers, tries every address at
// which they might be reached, and removes what it started. The commands of the
// plugin call [Run]; the agent calls it too, from inside a container. It must
// not know of docker/cli, of flags, or of how a Report is printed.
package experiment

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Options are what an experiment needs besides the Request.
type Options struct {
	Progress engine.Progress
	Vantage  probing.Vantage
	// ClientJoins says that the container of the Vantage was started for this run, which
	// connects it to its temporary networks too.
	ClientJoins bool
	// ServerEnv is the environment of the servers: that of the Request, and docker's
	// proxies.
	ServerEnv []string
	// Identities are the tokens that the built-in servers answer with; none for new
	// ones.
	Identities []string
	// BeforeCleanUp is called when everything is measured, while the servers still run.
	// They are removed when it returns. nil to remove them immediately.
	BeforeCleanUp func(ctx context.Context, measured *report.Report) error
	// OnMeasured is called with the Report of a run that has not failed, before the clean-up,
	// which adds its time and what it finds. It is not called for several network modes, nor
	// for servers that are kept. It may be nil.
	OnMeasured func(measured *report.Report)
	// OnPartialReport is called with a Report that the caller would lose if it did not
	// wait for the end of Run: that of each network mode when it is done, and that of a
	// run whose ctx has ended, before the clean-up. Several goroutines may call it in
	// parallel. It may be nil.
	OnPartialReport func(measured *report.Report)
	// ID is part of the labels and names of this run; empty for a new one.
	ID string
	// Scope is that of the command, if it makes more than this run; nil for a new one.
	Scope *engine.Scope

	mode *modeTurn // of a run for one of several network modes; else nil
}

// Run runs one experiment. The Report that it returns is never nil and holds what was
// measured. An error says that nothing could be measured, or that ctx has ended. A
// server that cannot be reached is a result, not an error. Run has removed what it
// started when it returns, unless request.Keep is set and there was no error.
func Run(ctx context.Context, eng engine.Engine, request Request, options Options) (*report.Report, error) {
	if len(request.Modes) > 0 {
		return runModes(ctx, eng, request, options)
	}
	started := time.Now()
	r := newRun(eng, request, options)
	err := r.measure(ctx)
	if ctx.Err() != nil && options.OnPartialReport != nil {
		options.OnPartialReport(r.report)
	}
	if err == nil && options.OnMeasured != nil && options.mode == nil && !r.plan.Keep {
		options.OnMeasured(r.report)
	}
	err = errors.Join(err, r.cleanUp(ctx, err != nil))
	r.report.Timings.TotalMS = report.Milliseconds(time.Since(started))
	return r.report, err
}

// run is the state of one experiment.
type run struct {
	engine  engine.Engine
	request Request
	options Options // with an ID
	plan    Plan
	name    string // part of the names of containers and networks: the ID, and the mode
	report  *report.Report
	labels  engine.Labels
	scope   *engine.Scope

	description connection.Description
	vantage     inspectedVantage    // from which the servers are to be reached
	peer        *peer               // from which probes are sent too; nil if there is none
	peerTaken   bool                // another container has the peer's name
	temporary   engine.NetworkMaker // of the temporary networks
	joined      []string            // of these, those that the client container was connected to
	servers     []*server
	networks    *facts.NetworkCache
	reaches     []report.Reach

	starting chan struct{} // closed when a server is about to be started
	begin    func()        // closes starting; it may be called several times
}

func newRun(eng engine.Engine, request Request, options Options) *run {
	if options.ID == "" {
		options.ID = eng.NewRun()
	}
	if options.Scope == nil {
		options.Scope = engine.NewScope()
	}
	r := &run{
		engine:   eng,
		request:  request,
		options:  options,
		plan:     Plan{Port: request.Port, Connection: request.Connection, Keep: request.Keep},
		name:     options.ID,
		report:   report.New("run"),
		scope:    options.Scope.Part(),
		vantage:  inspectedVantage{Vantage: options.Vantage},
		networks: facts.NewNetworkCache(eng.API, eng.Omitted),
		starting: make(chan struct{}),
	}
	r.begin = sync.OnceFunc(func() { close(r.starting) })
	r.scope.Undo(r.removeNetworks)
	r.scope.Undo(r.removeContainers)
	if options.mode != nil {
		r.name += "-" + options.mode.name
	}
	return r
}

// gatherFacts describes the engine and inspects the container of the vantage.
func (r *run) gatherFacts(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error {
		var err error
		r.description, err = r.engine.Describe(ctx)
		r.report.Endpoint = r.description.Endpoint
		return err
	})
	group.Go(func() error {
		var err error
		r.vantage.found, err = r.vantage.Inspect(ctx, r.engine.API)
		return err
	})
	return group.Wait()
}

// measure starts the servers and probes them. What is not needed to create the built-in
// server is read while that starts: the engine would do it first, for 10 to 20 ms.
func (r *run) measure(ctx context.Context) error {
	if !r.request.Builtin() || r.options.mode != nil {
		r.begin() // a pull may take long; and other modes may be measured before this one
	}
	group, ctx := errgroup.WithContext(ctx)
	var gathering errgroup.Group
	gathering.Go(func() error {
		<-r.starting
		return r.gatherFacts(ctx)
	})
	group.Go(gathering.Wait)
	group.Go(func() error {
		<-r.starting
		if r.options.mode != nil {
			return nil // it was done for all modes together
		}
		return engine.RemoveLeftovers(ctx, r.engine, r.options.ID, time.Now(), r.options.Progress)
	})
	var failed error // why the servers were not measured, unless something else has ended ctx
	group.Go(func() error {
		err := r.prepareAndProbe(ctx, gathering.Wait)
		if ctx.Err() == nil {
			failed = err
		}
		r.begin()
		_ = gathering.Wait() // the Report describes the engine after an error too
		return err
	})
	err := group.Wait()
	return cmp.Or(failed, err)
}

// prepareAndProbe starts the servers and probes them when gathered has returned.
func (r *run) prepareAndProbe(ctx context.Context, gathered func() error) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if r.options.mode != nil {
		if err := r.options.mode.await(ctx); err != nil {
			return err
		}
		defer r.options.mode.end()
	}
	awaitFacts := sync.OnceValue(func() error {
		if err := gathered(); err != nil {
			return err
		}
		return r.joinNetworks(ctx)
	})
	if err := r.startAndProbe(ctx, awaitFacts); err != nil || r.options.BeforeCleanUp == nil {
		return err
	}
	return r.options.BeforeCleanUp(ctx, r.report)
}

// prepare makes the image available, then the network.
func (r *run) prepare(ctx context.Context) error {
	if r.options.mode == nil { // else it was done for all modes together
		began := time.Now()
		err := r.completePlan(ctx)
		r.report.Timings.ImageMS = report.Milliseconds(time.Since(began))
		if err != nil {
			return err
		}
	}
	r.labels = r.request.Labels(r.options.ID, time.Now()) // only now: a pull may take long
	for i := range r.request.Servers {
		r.servers = append(r.servers, newServer(r, i))
	}
	return r.createNetworks(ctx)
}

// startAndProbe starts all servers in parallel and probes each when it has started and
// awaitFacts has returned. All servers run until the last one has been probed.
func (r *run) startAndProbe(ctx context.Context, awaitFacts func() error) error {
	began := time.Now()
	var started atomic.Int64 // nanoseconds from began to the start of the last server
	steps := engine.NewSteps(r.options.Progress, len(r.servers), "Starting "+engine.Plural(r.request.Servers, "server"), "Waiting for an answer")
	defer steps.End()

	results := make([][]report.Probe, len(r.servers))
	group, working := errgroup.WithContext(ctx)
	awaitPeer := r.startPeer(ctx) // with ctx: it is used after working has ended
	for i, s := range r.servers {
		group.Go(func() error {
			if err := s.start(working, ctx); err != nil {
				return err
			}
			started.Store(int64(time.Since(began)))
			steps.Advance()
			group.Go(func() error {
				r.networks.Prefetch(working, s.networkNames())
				return nil
			})
			if err := errors.Join(awaitFacts(), awaitPeer()); err != nil {
				return err
			}
			var err error
			results[i], err = s.probe(working, ctx)
			return err
		})
	}
	err := group.Wait()
	if peerErr := awaitPeer(); err == nil { // waits even if a server has failed
		err = peerErr
	}
	r.report.Timings.StartMS = report.Milliseconds(time.Duration(started.Load()))
	r.report.Timings.ProbeMS = report.Milliseconds(time.Since(began) - time.Duration(started.Load()))
	for i, s := range r.servers {
		explained := diagnosis.Result{Probes: results[i]}
		if err == nil {
			var reaches []report.Reach
			explained, reaches, err = r.explain(ctx, s, results[i])
			r.reaches = append(r.reaches, reaches...)
			r.report.Findings = diagnosis.Merge(r.report.Findings, explained.Findings)
		}
		r.report.Servers = append(r.report.Servers, s.describe())
		r.report.Checks = append(r.report.Checks, s.health(ctx)...)
		r.report.Probes = append(r.report.Probes, explained.Probes...)
	}
	r.pickBestAddresses()
	return err
}

// cleanUp removes what the run made, even if ctx has ended; see engine.Scope.
func (r *run) cleanUp(ctx context.Context, failed bool) error {
	if r.plan.Keep && !failed {
		return r.removeWitnesses(ctx)
	}
	began := time.Now()
	defer func() { r.report.Timings.CleanupMS = report.Milliseconds(time.Since(began)) }()
	defer r.options.Progress.Step("Removing " + engine.Plural(len(r.servers), "server"))()
	return r.scope.Close(ctx, failed)
}

// removeWitnesses removes the helpers of servers that are kept.
func (r *run) removeWitnesses(ctx context.Context) error {
	scope := engine.NewScope()
	for _, s := range r.servers {
		scope.Undo(s.removeWitness)
	}
	return scope.Close(ctx, false)
}

// removeContainers removes the servers and the peer.
func (r *run) removeContainers(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error { return r.removePeer(ctx) })
	for _, s := range r.servers {
		group.Go(func() error { return s.removeWitness(ctx) })
		if s.taken {
			continue
		}
		group.Go(func() error {
			return engine.RemoveContainer(ctx, r.engine.API, s.name, s.lease)
		})
	}
	return group.Wait()
}
