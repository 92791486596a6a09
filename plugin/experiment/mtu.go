package experiment

import (
	"context"
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// smallSegment is a segment size, in bytes, that every network carries: the default
// maximum of TCP over IPv4 (RFC 9293, section 3.7.1), which is less than that over IPv6.
const smallSegment = 536

// probeSmallSegments probes the addresses again that accepted a connection and then sent
// nothing, or only a part of the answer, if no other address works. The segments are so
// small that the MTU of no link on the path is too small for them. It returns the
// addresses that answered.
func (s *server) probeSmallSegments(ctx context.Context, v inspectedVantage, probes []report.Probe) ([]facts.SmallAnswer, error) {
	if s.run.request.Target.Scheme == netprobe.TCP || !netprobe.CanLimitSegments() {
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
	defer s.run.options.Progress.Step("Probing again with small packets")()
	request := s.run.request
	waiting, cancel := context.WithTimeout(ctx, request.Timeout)
	defer cancel()
	terms := request.Terms()
	terms.MaxSegment = smallSegment
	results, err := v.Race(waiting, stalled, terms)
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

// stalls says whether the server accepted the connection and did not send all of its
// answer.
func stalls(f netprobe.Failure) bool { return f == netprobe.NoResponse || f == netprobe.StalledBody }
