package experiment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// probe tries the server's candidates until all have answered, Request.Wait is over, the
// container has exited, or the server has been up for long enough. A witness that it
// starts lives until watching ends.
func (s *server) probe(ctx, watching context.Context) ([]report.Probe, error) {
	waiting, cancel := context.WithTimeout(ctx, s.run.request.Wait)
	defer cancel()
	for {
		probes, err := s.probeOnce(ctx, waiting)
		if err == nil {
			probes, err = s.identify(ctx, watching, probes)
		}
		if err != nil || !s.mayComeUp(probes) || waiting.Err() != nil {
			return probes, err
		}
	}
}

// mayComeUp says whether the server may be reached later: so far a port forwarder has
// kept a connection open, behind which the server does not listen yet.
func (s *server) mayComeUp(probes []report.Probe) bool {
	return !s.hasExited() && !anyOK(probes) && slices.ContainsFunc(probes, func(p report.Probe) bool {
		return p.Failure == netprobe.Silent && p.Identity == netprobe.IdentityMismatch
	})
}

// probeOnce runs one race from each vantage.
func (s *server) probeOnce(ctx, waiting context.Context) ([]report.Probe, error) {
	waiting, cancel := context.WithCancel(waiting)
	defer cancel()

	var group errgroup.Group
	finished, finish := context.WithCancel(waiting)
	group.Go(func() error {
		defer cancel()
		return s.awaitExit(ctx, finished)
	})
	up := s.endWaitOnceUp(cancel)
	group.Go(func() error {
		s.awaitListening(waiting, up)
		return nil
	})
	views := s.run.inspectedVantages()
	results := make([][]report.Probe, len(views))
	group.Go(func() error {
		defer finish()
		var races errgroup.Group
		for i, v := range views {
			races.Go(func() error {
				var err error
				results[i], err = s.probeFrom(waiting, v)
				if slices.ContainsFunc(results[i], func(p report.Probe) bool { return p.OK }) {
					up()
				}
				return err
			})
		}
		return races.Wait()
	})
	err := group.Wait()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return slices.Concat(results...), err
}

// probeFrom tries the server's candidates from one vantage.
func (s *server) probeFrom(ctx context.Context, v inspectedVantage) ([]report.Probe, error) {
	v.LogCandidates(s.addresses(v))
	attempts := s.attempts(v)
	terms := s.run.request.Terms()
	results, err := v.Race(ctx, attempts, terms)
	probes := probing.Rows(v.Name, s.index, attempts, results)
	if err != nil || !probing.MayHaveWaited(probes, len(attempts), terms.Timeout) {
		return probes, err
	}
	return probing.RetryOneByOne(ctx, v.Vantage, s.index, attempts, probes, terms)
}

// forwardDelay is how much later than its server a published port may answer. The port
// forwarding of Colima's VM was up to 2 s late; the rest is for busy machines.
const forwardDelay = 4 * time.Second

// endWaitOnceUp returns the function to call when the server is known to be up. It
// cancels the wait for answers after the time that the engine may take to forward the
// port, and one attempt more.
func (s *server) endWaitOnceUp(cancel func()) (up func()) {
	return sync.OnceFunc(func() { time.AfterFunc(forwardDelay+s.run.request.Timeout, cancel) })
}

// awaitListening calls up when the built-in server reports that it listens. For any
// other server, and if the user has set how long to wait, the first answer shows it.
func (s *server) awaitListening(waiting context.Context, up func()) {
	if s.lease == nil || s.run.request.WaitOut {
		return
	}
	select {
	case <-s.lease.Listening:
		up()
	case <-waiting.Done():
	}
}

// ErrStopped says that a built-in server has ended before its lease.
var ErrStopped = errors.New("was stopped by another process, or because the engine shuts down")

// awaitExit returns when the container has exited or finished has ended. If the
// container was no longer running when it was inspected, the engine is about to report
// its exit.
func (s *server) awaitExit(ctx, finished context.Context) error {
	var late <-chan time.Time
	if !s.found.Running {
		finished = ctx
		timer := time.NewTimer(bounds.AnswerTime)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-late:
		return bounds.Late("POST /containers/{id}/wait", "container "+s.name+" is not running, and the engine did not report its exit", bounds.AnswerTime)
	case <-finished.Done():
		return nil
	case e := <-s.exited:
		if e.Err != nil {
			return e.Err
		}
		if s.run.request.Builtin() && e.Code == 0 {
			return fmt.Errorf("container %s %w: run the command again", s.name, ErrStopped)
		}
		var err error
		s.exit, err = s.exitFault(ctx, e)
		return err
	}
}

// addresses returns what is known of the server and of a vantage.
func (s *server) addresses(v inspectedVantage) facts.Addresses {
	known := s.found.Addresses
	known.EngineHost = s.run.engine.Host
	known.HostAddresses = s.run.engine.HostAddresses
	known.NodeAddress = s.run.description.NodeAddress
	known.Desktop = s.run.description.Endpoint.Engine.Desktop
	known.Client, known.ClientOnHost = v.found.Networks, v.found.HostNetwork
	known.SharesNamespace = v.Container != "" && (v.Container == s.found.Namespace || v.found.Namespace == s.found.Namespace || v.found.HostNetwork && s.found.HostNetwork)
	known.Names = append([]string{s.name}, s.found.Aliases...)
	return known
}

// attempts returns the candidates from one vantage.
func (s *server) attempts(v inspectedVantage) []probing.Attempt {
	request, known := s.run.request, s.addresses(v)
	toTry := v.Candidates(known)
	attempts := make([]probing.Attempt, len(toTry))
	for i, candidate := range toTry {
		attempts[i] = probing.Attempt{
			Candidate: candidate,
			Grace:     probing.Grace(known, candidate),
			Target:    request.TargetAt(candidate.Address, s.identity),
		}
	}
	return attempts
}
