package experiment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Fleet starts servers one by one, on demand, and finds an address for each. It
// is what a runner is made of; the relay is one. Its methods may be called from
// several goroutines.
type OnDemandServers struct {
	run   *run
	image string
	ctx   context.Context //nolint:containedctx // servers are watched for as long as the fleet lives

	mu       sync.Mutex
	started  int
	measured bool                     // a server has been started and asked for
	failure  error                    // the last of a start
	findings map[int][]report.Finding // of the servers' latest, by their index
}

// Running is a server of a fleet that an address reaches.
type Running struct {
	// URL is the base URL of the best address.
	URL string
	// Exited is closed when the server's container has exited.
	Exited <-chan struct{}

	server *server
}

// NewFleet makes ready for servers: their image, their network, and what there
// is to know of the engine and of the vantage. The fleet lives as long as ctx,
// and is to be closed.
func NewOnDemandServers(ctx context.Context, engine engine.Engine, spec Spec, options Options) (*OnDemandServers, error) {
	r := newRun(engine, spec, options)
	f := &OnDemandServers{run: r, ctx: ctx, findings: map[int][]report.Finding{}}
	var group errgroup.Group
	group.Go(func() error { return r.learn(ctx) })
	group.Go(func() error {
		var err error
		if f.image, err = r.image(ctx); err != nil {
			return err
		}
		r.labels = r.spec.Labels(r.id, time.Now())
		return r.createNetworks(ctx)
	})
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, r.cleanUp(ctx, true))
	}
	unstarted := newServer(r, 0, f.image)
	unstarted.name = ""
	r.report.Servers = slices.Repeat([]report.Server{unstarted.describe()}, r.spec.Servers)
	return f, nil
}

// Start starts a server and waits until an address reaches it. It is the one with
// this index in the Report, of which there are spec.Servers, in the place of an
// earlier one. The identity is what the built-in server answers with. A server that
// no address reaches is an error, and is gone when Start returns.
func (f *OnDemandServers) Start(ctx context.Context, index int, identity string) (*Running, error) {
	s := f.add(index, identity)
	probes, err := f.launch(ctx, s)
	if err != nil {
		f.fail(ctx, s, err)
		return nil, errors.Join(err, f.giveUp(ctx, s))
	}
	findings, _, err := f.run.explain(ctx, s, probes)
	if err != nil {
		f.fail(ctx, s, err)
		return nil, errors.Join(err, f.giveUp(ctx, s))
	}
	f.record(s, probes, findings)
	best, ok := PickBest(s.index, probes, f.run.view.vantage.KindRanking(), f.run.spec.Path)
	if !ok || s.exit != nil { // it may have answered before it exited
		return nil, errors.Join(s.unreached(), f.giveUp(ctx, s))
	}
	exited := make(chan struct{})
	go func() { // ends with the server, or with the fleet
		defer close(exited)
		<-s.exited
	}()
	return &Running{URL: best.URL, Exited: exited, server: s}, nil
}

func (f *OnDemandServers) launch(ctx context.Context, s *server) ([]report.Probe, error) {
	if err := s.start(ctx, f.ctx); err != nil {
		return nil, err
	}
	return s.probe(ctx)
}

func (f *OnDemandServers) add(index int, identity string) *server {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := newServer(f.run, f.started, f.image) // numbered through, so that no two share a name
	s.index, s.identity = index, identity
	f.started++
	f.run.servers = append(f.run.servers, s)
	return s
}

// record puts a server and its probes into the fleet's Report.
func (f *OnDemandServers) record(s *server, probes []report.Probe, findings []report.Finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.measured = true
	f.put(s, probes, findings)
}

// put puts a server in the place of an earlier one.
func (f *OnDemandServers) put(s *server, probes []report.Probe, findings []report.Finding) {
	r := f.run.report
	r.Servers[s.index] = s.describe()
	r.Probes = slices.DeleteFunc(r.Probes, func(p report.Probe) bool { return p.Server == s.index })
	r.Probes = append(r.Probes, probes...)
	f.findings[s.index] = findings
}

// fail keeps why a server could not be started. One whose start was given up leaves
// what is known of an earlier one.
func (f *OnDemandServers) fail(ctx context.Context, s *server, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
	if ctx.Err() == nil {
		f.put(s, nil, []report.Finding{diagnosis.Finding(notStarted(s.index, err))})
	}
}

// notStarted is what is known of a server that could not be started.
func notStarted(index int, err error) *report.Fault {
	if fault := new(report.Fault); errors.As(err, &fault) {
		return fault
	}
	return &report.Fault{Evidence: []string{fmt.Sprintf("server %d: %v", index+1, err)}}
}

// Err returns why no server could be started, if none could.
func (f *OnDemandServers) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.measured {
		return nil
	}
	return f.failure
}

// unreached says why nothing reaches a server.
func (s *server) unreached() error {
	if s.exit != nil {
		return s.exit.Fault(s.name)
	}
	return fmt.Errorf("no address reaches %s from here within %s", s.name, s.run.spec.Wait)
}

// Stop removes a server.
func (f *OnDemandServers) Stop(ctx context.Context, r *Running) error { return f.remove(ctx, r.server) }

// giveUp removes a server that is of no use, whether ctx has ended or not.
func (f *OnDemandServers) giveUp(ctx context.Context, s *server) error {
	ending, cancel := engine.CleanUpContext(ctx, true)
	defer cancel()
	return f.remove(ending, s)
}

// remove removes a server and forgets it. One that cannot be removed is left to
// Close.
func (f *OnDemandServers) remove(ctx context.Context, s *server) error {
	defer s.releaseLease()
	if !s.taken {
		if err := engine.RemoveContainer(ctx, f.run.engine.API, s.name); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.run.servers = slices.DeleteFunc(f.run.servers, func(other *server) bool { return other == s })
	return nil
}

// Report returns what was measured so far.
func (f *OnDemandServers) Report() *report.Report {
	f.mu.Lock()
	defer f.mu.Unlock()
	measured := *f.run.report
	measured.Servers = slices.Clone(measured.Servers)
	measured.Probes = slices.Clone(measured.Probes)
	for i := range measured.Servers {
		if f.measured { // else Err tells
			measured.Findings = diagnosis.Merge(measured.Findings, f.findings[i])
		}
		if best, ok := PickBest(i, measured.Probes, f.run.view.vantage.KindRanking(), f.run.spec.Path); ok {
			measured.Best = append(measured.Best, best)
		}
	}
	return &measured
}

// Close removes the servers that are left, and their network.
func (f *OnDemandServers) Close(ctx context.Context) error { return f.run.cleanUp(ctx, true) }
