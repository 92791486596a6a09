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
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/ranking"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// OnDemandServers starts servers one by one, on demand, and finds an address for each.
// The relay uses it. Its methods may be called from several goroutines.
type OnDemandServers struct {
	run *run
	ctx context.Context //nolint:containedctx // it lasts until Close, and servers are watched that long

	mu       sync.Mutex
	started  int
	measured bool                     // a server has been started and probed
	failure  error                    // of the last start that failed
	findings map[int][]report.Finding // of the latest server at each index
}

// Running is a server that OnDemandServers has started and that an address reaches.
type Running struct {
	// URL is the base URL of the best address.
	URL string
	// Host is the Host header of the request that was answered; empty for that of URL.
	Host string
	// Exited is closed when the server's container has exited.
	Exited <-chan struct{}

	server *server
}

// NewOnDemandServers prepares the start of servers: it makes the image available,
// creates the temporary networks, and describes the engine and the vantage. The result
// is valid until ctx ends, and the caller calls Close. After an error nothing is left to
// close.
func NewOnDemandServers(ctx context.Context, engine engine.Engine, request Request, options Options) (*OnDemandServers, error) {
	request.Keep = false // the relay is what is kept
	r := newRun(engine, request, options)
	f := &OnDemandServers{run: r, ctx: ctx, findings: map[int][]report.Finding{}}
	var group errgroup.Group
	group.Go(func() error { return r.gatherFacts(ctx) })
	group.Go(func() error {
		if err := r.completePlan(ctx); err != nil {
			return err
		}
		r.labels = r.newLabels()
		return r.createNetworks(ctx)
	})
	err := group.Wait()
	if err == nil {
		err = r.joinNetworks(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, r.cleanUp(ctx, true))
	}
	unstarted := newServer(r, 0)
	unstarted.name = ""
	r.report.Servers = slices.Repeat([]report.Server{unstarted.describe()}, r.request.Servers)
	return f, nil
}

// newLabels are the labels of what is made now. The runner is the container of the vantage.
func (r *run) newLabels() engine.Labels {
	labels := r.request.Labels(r.options.ID, time.Now())
	labels.Runner = r.vantage.Container
	return labels
}

// Start starts a server and waits until an address reaches it. The index is that in the
// Report's list of request.Servers servers; an earlier server with the same index is
// replaced there. The identity is the token that the built-in server answers with. It is
// an error if no address reaches the server, which Start then removes.
func (f *OnDemandServers) Start(ctx context.Context, index int, identity string) (*Running, error) {
	s := f.add(index, identity)
	explained, err := f.measure(ctx, s)
	if err != nil {
		f.recordFailure(ctx, s, err)
		return nil, errors.Join(err, f.removeFailed(ctx, s))
	}
	f.record(s, explained.Probes, explained.Findings)
	best, ok := ranking.PickBest(s.index, explained.Probes, f.run.vantage.KindRanking(f.run.engine.Host), f.run.request.Target.Path)
	if !ok || s.hasExited() { // it may have answered before it exited
		return nil, errors.Join(s.unreachedError(explained.Findings), f.removeFailed(ctx, s))
	}
	exited := make(chan struct{})
	go func() { // ends with the server, or with f.ctx
		defer close(exited)
		s.renewUntilExit()
	}()
	return &Running{URL: best.URL, Host: f.run.request.Target.Header.Get("Host"), Exited: exited, server: s}, nil
}

// renewals is how often the deadline of a server is renewed before it would pass.
const renewals = 3

// renewUntilExit renews the deadline of a server until it exits. A server that does not get
// a renewal, since this process hangs or the engine does not pass it on, ends.
func (s *server) renewUntilExit() {
	due := time.NewTicker(s.labels.Lifetime / renewals)
	defer due.Stop()
	for {
		select {
		case <-s.exited:
			return
		case <-due.C:
			if s.lease != nil {
				_ = s.lease.Renew() // the end of the lease is an exit too
			}
		}
	}
}

// measure starts a server, probes it, and explains the results.
func (f *OnDemandServers) measure(ctx context.Context, s *server) (diagnosis.Result, error) {
	if err := s.start(ctx, f.ctx); err != nil {
		return diagnosis.Result{}, err
	}
	probes, err := s.probe(ctx, f.ctx)
	if err != nil {
		return diagnosis.Result{}, err
	}
	explained, _, err := f.run.explain(ctx, s, probes)
	return explained, errors.Join(err, s.removeWitness(ctx))
}

func (f *OnDemandServers) add(index int, identity string) *server {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := newServer(f.run, f.started) // a new number for each start, so that no two share a name
	s.index, s.identity, s.labels = index, identity, f.run.newLabels()
	f.started++
	f.run.servers = append(f.run.servers, s)
	return s
}

// record puts a server and its probes into the Report.
func (f *OnDemandServers) record(s *server, probes []report.Probe, findings []report.Finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.measured = true
	f.replace(s, probes, findings)
}

// replace puts a server into the Report instead of the earlier one with its index.
func (f *OnDemandServers) replace(s *server, probes []report.Probe, findings []report.Finding) {
	r := f.run.report
	r.Servers[s.index] = s.describe()
	r.Probes = slices.DeleteFunc(r.Probes, func(p report.Probe) bool { return p.Server == s.index })
	r.Probes = append(r.Probes, probes...)
	f.findings[s.index] = findings
}

// recordFailure keeps why a server could not be started. If the start was cancelled, the
// Report keeps the earlier server.
func (f *OnDemandServers) recordFailure(ctx context.Context, s *server, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
	if ctx.Err() == nil {
		f.replace(s, nil, []report.Finding{diagnosis.Finding(startFault(s.index, err))})
	}
}

// startFault returns the error of a start as a Fault.
func startFault(index int, err error) *report.Fault {
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

// unreachedError returns why no address reaches a server.
func (s *server) unreachedError(findings []report.Finding) error {
	if s.hasExited() {
		return s.exit
	}
	for _, finding := range findings {
		if finding.Severity == report.SeverityError {
			return fmt.Errorf("%s: %s", finding.Cause, finding.Title)
		}
	}
	return fmt.Errorf("no address reaches %s from here within %s", s.name, s.run.request.Wait)
}

// Stop removes a server. An error says that it could not be removed; Close tries again.
func (f *OnDemandServers) Stop(ctx context.Context, r *Running) error { return f.remove(ctx, r.server) }

// removeFailed removes a server that is not reached, even if ctx has ended.
func (f *OnDemandServers) removeFailed(ctx context.Context, s *server) error {
	scope := engine.NewScope() // the other servers go on
	scope.Undo(func(ctx context.Context) error { return f.remove(ctx, s) })
	return scope.Close(ctx, true)
}

// remove removes a server and its entry in the run. The entry stays if the server cannot
// be removed, for Close to try again.
func (f *OnDemandServers) remove(ctx context.Context, s *server) error {
	if err := s.removeWitness(ctx); err != nil {
		s.lease.Release()
		return err
	}
	if !s.taken {
		if err := engine.RemoveContainer(ctx, f.run.engine.API, s.name, s.lease); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.run.servers = slices.DeleteFunc(f.run.servers, func(other *server) bool { return other == s })
	return nil
}

// Report returns what has been measured so far.
func (f *OnDemandServers) Report() *report.Report {
	f.mu.Lock()
	defer f.mu.Unlock()
	measured := *f.run.report
	measured.Servers = slices.Clone(measured.Servers)
	measured.Probes = slices.Clone(measured.Probes)
	for i := range measured.Servers {
		if f.measured { // else Err returns the reason
			measured.Findings = diagnosis.Merge(measured.Findings, f.findings[i])
		}
	}
	measured.Best = append(measured.Best, ranking.PickBestOfEach(f.run.request.Servers, measured.Probes, f.run.vantage.KindRanking(f.run.engine.Host), f.run.request.Target.Path)...)
	return &measured
}

// Close removes the servers that are left and the temporary networks. An error says what
// could not be removed.
func (f *OnDemandServers) Close(ctx context.Context) error { return f.run.cleanUp(ctx, true) }
