package probing

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/candidates"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Attempt is one candidate, and what is probed there.
type Attempt struct {
	candidates.Candidate
	Target netprobe.Target
	Grace  time.Duration // netprobe.Attempt.Grace
}

// RaceOf returns a race between attempts, with the settings of the given race.
func RaceOf(attempts []Attempt, race netprobe.Race) netprobe.Race {
	for _, a := range attempts {
		race.Attempts = append(race.Attempts, netprobe.Attempt{Target: a.Target, Grace: a.Grace, Lookup: a.Lookup, Elsewhere: a.Elsewhere})
	}
	return race
}

// Race probes from the vantage until ctx ends or each attempt has had its last probe. The
// results are in the order of the attempts. Only a Prober returns an error.
func (v Vantage) Race(ctx context.Context, attempts []Attempt, terms netprobe.Race) ([]netprobe.Result, error) {
	return v.run(ctx, RaceOf(attempts, terms))
}

func (v Vantage) run(ctx context.Context, race netprobe.Race) ([]netprobe.Result, error) {
	if len(race.Roots) == 0 {
		race.Roots = v.Roots
	}
	if v.Prober == nil {
		return race.Run(ctx), nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		race.Wait = time.Until(deadline)
	}
	return v.Prober.Run(ctx, race)
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
