package experiment

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/candidates"
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
	probes := Rows(v.Name, s.index, attempts, results)
	if err != nil || !MayHaveWaited(probes, len(attempts), terms.Timeout) {
		return probes, err
	}
	return RetryOneByOne(ctx, v.Vantage, s.index, attempts, probes, terms)
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
func (s *server) attempts(v inspectedVantage) []Attempt {
	request, known := s.run.request, s.addresses(v)
	toTry := v.Candidates(known)
	attempts := make([]Attempt, len(toTry))
	for i, candidate := range toTry {
		attempts[i] = Attempt{
			Candidate: candidate,
			Grace:     Grace(known, candidate),
			Target:    request.TargetAt(candidate.Address, s.identity),
		}
	}
	return attempts
}

// addressDetection is the longest time for which the kernel does not use a new IPv6
// address, until duplicate address detection is done: a random delay of up to 1 s, then
// one probe and 1 s for its answer (RFC 4862, section 5.4.2, and RFC 4861,
// RETRANS_TIMER); and 1 s for the retransmission of a lost first packet.
const addressDetection = 3 * time.Second

// Grace returns how much longer than others a candidate is tried. The bridge of a network
// that was empty detects duplicates of its IPv6 address when the server is connected.
// Until that is done, the server's IPv6 address cannot be reached from the host.
func Grace(known facts.Addresses, candidate candidates.Candidate) time.Duration {
	hasIPv6 := slices.ContainsFunc(known.Networks, func(n facts.Network) bool { return n.IPv6.IsValid() })
	if address, err := netip.ParseAddrPort(candidate.Address); err == nil && hasIPv6 && address.Addr().Is6() {
		return addressDetection
	}
	return 0
}

// Rows returns the results of the attempts for one server as probes of a Report. An
// attempt that was never completed has no row.
func Rows(vantage string, server int, attempts []Attempt, results []netprobe.Result) []report.Probe {
	var probes []report.Probe
	for i, r := range results {
		if r.Attempts > 0 {
			probes = append(probes, row(vantage, server, attempts[i], r))
		}
	}
	return probes
}

func row(vantage string, server int, a Attempt, r netprobe.Result) report.Probe {
	return report.Probe{
		Vantage:   vantage,
		Server:    server,
		Kind:      a.Kind,
		Address:   a.Address,
		URL:       a.Target.URL(),
		Resolved:  r.Resolved,
		OK:        r.OK,
		Phase:     r.Phase,
		Failure:   r.Failure,
		Detail:    r.Detail,
		Status:    r.Status,
		Body:      r.Body,
		Identity:  r.Identity,
		WebSocket: r.WebSocket,
		Attempts:  r.Attempts,
		NotSent:   r.NotSent,
		Timings: report.ProbeTimings{
			ResolveMS:   report.Milliseconds(r.Timings.Resolve),
			ConnectMS:   report.Milliseconds(r.Timings.Connect),
			FirstByteMS: report.Milliseconds(r.Timings.FirstByte),
			TotalMS:     report.Milliseconds(r.Timings.Total),
		},
	}
}
