package experiment

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// probe tries the server's candidates until they are answered, --wait is over,
// the container has exited, or the server is known to be up for long enough.
func (s *server) probe(ctx context.Context) ([]report.Probe, error) {
	waiting, cancel := context.WithTimeout(ctx, s.run.spec.Wait)
	defer cancel()

	var group errgroup.Group
	finished, finish := context.WithCancel(waiting)
	group.Go(func() error {
		defer cancel()
		return s.awaitExit(ctx, finished)
	})
	up := s.sinceUp(cancel)
	group.Go(func() error {
		s.awaitListening(waiting, up)
		return nil
	})
	views := s.run.views()
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
func (s *server) probeFrom(ctx context.Context, v view) ([]report.Probe, error) {
	attempts := s.attempts(v)
	results, err := v.vantage.Race(ctx, attempts, s.run.spec.Terms())
	return Rows(v.vantage.Name, s.index, attempts, results), err
}

// lateForward is how much later than its server a published port may answer: the
// forwards of Colima's VM were seen up to 2 s late, and a machine that has more to
// do than it can takes its time.
const lateForward = 4 * time.Second

// sinceUp returns what is to be called when the server is known to be up: it ends
// the wait for answers when that has been so for as long as the engine may take to
// forward its port, and one attempt more.
func (s *server) sinceUp(cancel func()) (up func()) {
	return sync.OnceFunc(func() { time.AfterFunc(lateForward+s.run.spec.Timeout, cancel) })
}

// awaitListening calls up when the built-in server says that it listens. Of another
// server, the first answer tells; and so it is where the user has said how long to
// wait.
func (s *server) awaitListening(waiting context.Context, up func()) {
	if s.lease == nil || s.run.spec.WaitOut {
		return
	}
	select {
	case <-s.lease.Listening:
		up()
	case <-waiting.Done():
	}
}

// awaitExit returns when the container has exited or finished has ended. If it
// was not running any more when it was inspected, the engine is about to say how
// it exited.
func (s *server) awaitExit(ctx, finished context.Context) error {
	if !s.found.Running {
		finished = ctx
	}
	select {
	case <-finished.Done():
		return nil
	case e := <-s.exited:
		if e.Err != nil {
			return e.Err
		}
		if s.run.spec.Builtin() && e.Code == 0 {
			return fmt.Errorf("container %s was stopped by somebody else, or by an engine that shuts down: run the command again", s.name)
		}
		var err error
		s.exit, err = s.examine(ctx, e)
		return err
	}
}

// attempts are the candidates from one vantage.
func (s *server) attempts(v view) []Attempt {
	spec := s.run.spec
	facts := s.found.Addresses
	facts.EngineHost = s.run.engine.Host
	facts.NodeAddress = s.run.description.NodeAddress
	facts.Desktop = s.run.description.Endpoint.Engine.Desktop
	facts.Client = v.found.Addresses.Networks
	facts.Names = append([]string{s.name}, s.found.Aliases...)
	candidates := v.vantage.Candidates(facts)
	attempts := make([]Attempt, len(candidates))
	for i, candidate := range candidates {
		attempts[i] = Attempt{
			Candidate: candidate,
			Grace:     Grace(facts, candidate),
			Target:    spec.Target(candidate.Address, s.identity),
		}
	}
	return attempts
}

// detection is the longest that the kernel keeps a new IPv6 address from being
// used, to see whether somebody else has it: a random delay of up to 1 s, then
// one probe and 1 s for its answer (RFC 4862, section 5.4.2, and RFC 4861,
// RETRANS_TIMER); and what a lost first packet costs.
const detection = 3 * time.Second

// grace is how much longer than others a candidate is tried. The bridge of a
// network that was empty detects duplicates of its IPv6 address when the server
// comes, and until then the way to the server's own IPv6 address is closed.
func Grace(known facts.Addresses, candidate Candidate) time.Duration {
	hasIPv6 := slices.ContainsFunc(known.Networks, func(n facts.Network) bool { return n.IPv6.IsValid() })
	if address, err := netip.ParseAddrPort(candidate.Address); err == nil && hasIPv6 && address.Addr().Is6() {
		return detection
	}
	return 0
}

// terms are those of a race for a server. The certificate of the built-in server is
// made at its start; its identity proves who answers.
func (s Spec) Terms() netprobe.Race {
	return netprobe.Race{Timeout: s.Timeout, SkipVerify: s.Builtin()}
}

// target is what is asked at an address. The identity is that of the built-in
// server; a user's own has none.
func (s Spec) Target(address, identity string) netprobe.Target {
	target := netprobe.Target{
		Scheme:    s.Scheme,
		Address:   address,
		Path:      s.Path,
		Expect:    s.Expect,
		WebSocket: s.WebSocket,
	}
	if s.Builtin() {
		target.Identity = identity
	}
	return target
}

// rows turns what was measured of one server into the Report's rows. An attempt
// that was never probed to its end has none.
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
		OK:        r.OK,
		Phase:     r.Phase,
		Failure:   r.Failure,
		Detail:    r.Detail,
		Status:    r.Status,
		Body:      r.Body,
		Identity:  r.Identity,
		WebSocket: r.WebSocket,
		Attempts:  r.Attempts,
		Timings: report.ProbeTimings{
			ResolveMS:   report.Milliseconds(r.Timings.Resolve),
			ConnectMS:   report.Milliseconds(r.Timings.Connect),
			FirstByteMS: report.Milliseconds(r.Timings.FirstByte),
			TotalMS:     report.Milliseconds(r.Timings.Total),
		},
	}
}
