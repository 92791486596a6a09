package experiment

import (
	"context"
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// smallSegment is the size of segments that every network has to carry: the
// default of TCP over IPv4 (RFC 9293, section 3.7.1). It is less than what it is
// over IPv6.
const smallSegment = 536

// askForLittle asks again at the addresses that accepted and then sent nothing, or
// not all, where no other address works: for segments so small that no link on the
// way is too narrow for them. It returns the addresses that answered so.
func (s *server) askForLittle(ctx context.Context, v view, probes []report.Probe) ([]facts.SmallAnswer, error) {
	if s.run.spec.Scheme == netprobe.TCP || !netprobe.CanLimitSegments() {
		return nil, nil
	}
	var stalled []Attempt
	for _, a := range s.attempts(v) {
		if slices.ContainsFunc(probes, func(p report.Probe) bool {
			return p.Address == a.Address && stalls(p.Failure)
		}) {
			stalled = append(stalled, a)
		}
	}
	if len(stalled) == 0 || slices.ContainsFunc(probes, func(p report.Probe) bool { return p.OK }) {
		return nil, nil
	}
	defer s.run.progress.Step("Asking again for small packets")()
	spec := s.run.spec
	waiting, cancel := context.WithTimeout(ctx, spec.Timeout)
	defer cancel()
	terms := spec.Terms()
	terms.MaxSegment = smallSegment
	results, err := v.vantage.Race(waiting, stalled, terms)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var answers []facts.SmallAnswer
	for i, r := range results {
		if r.Attempts > 0 && r.Answered() && !stalls(r.Failure) {
			answers = append(answers, facts.SmallAnswer{Address: stalled[i].Address, Segment: smallSegment, PathMTU: r.PathMTU})
		}
	}
	return answers, nil
}

// stalls says whether a server that accepted was not heard to the end.
func stalls(f netprobe.Failure) bool { return f == netprobe.NoResponse || f == netprobe.StalledBody }
