package experiment

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// askAgain probes again from a vantage from which no address works; see AskAgain.
func (s *server) askAgain(ctx context.Context, v inspectedVantage, probes []report.Probe) ([]facts.SecondAnswer, error) {
	questions := Questions(v.Vantage, s.attempts(v), probes, s.run.request.Terms(), append([]string{s.name}, s.found.Aliases...))
	if len(questions) == 0 {
		return nil, nil
	}
	defer s.run.options.Progress.Step("Probing again in other ways")()
	return AskAgain(ctx, v.Vantage, questions)
}

// Questions returns the probes that may prove why no address works from a vantage: to
// the address that came furthest, once each. There are none if an address works, or if
// no question may decide it. Names are what the server may be called in a Host header.
func Questions(v Vantage, attempts []Attempt, probes []report.Probe, terms netprobe.Race, names []string) []facts.SecondAnswer {
	if slices.ContainsFunc(probes, func(p report.Probe) bool { return p.OK }) {
		return nil
	}
	furthest := slices.Clone(probes)
	slices.SortStableFunc(furthest, func(a, b report.Probe) int {
		switch {
		case a.Phase.After(b.Phase):
			return -1
		case b.Phase.After(a.Phase):
			return 1
		}
		return slices.Index(v.KindRanking(), a.Kind) - slices.Index(v.KindRanking(), b.Kind)
	})
	for _, p := range furthest {
		i := slices.IndexFunc(attempts, func(a Attempt) bool { return a.Address == p.Address })
		if i < 0 {
			continue
		}
		first := netprobe.Result{Phase: p.Phase, Failure: p.Failure, Status: p.Status, Identity: p.Identity}
		if questions := attempts[i].Target.Questions(first, terms, names); len(questions) > 0 {
			return unanswered(p, questions)
		}
	}
	return nil
}

// unanswered returns the questions about one probe.
func unanswered(p report.Probe, questions []netprobe.Question) []facts.SecondAnswer {
	asked := make([]facts.SecondAnswer, len(questions))
	for i, q := range questions {
		asked[i] = facts.SecondAnswer{Question: q, Address: p.Address, Failure: p.Failure, Status: p.Status}
	}
	return asked
}

// askMargin is how much longer than its time limit one probe may take: the agent gets it
// later than it was sent.
const askMargin = 500 * time.Millisecond

// AskAgain sends the questions in parallel and returns those that came to an end, with
// their answers. Only a Prober, and the end of ctx, return an error.
func AskAgain(ctx context.Context, v Vantage, questions []facts.SecondAnswer) ([]facts.SecondAnswer, error) {
	answers := slices.Clone(questions)
	var group errgroup.Group
	for i := range answers {
		group.Go(func() error {
			race := answers[i].Race
			waiting, cancel := context.WithTimeout(ctx, race.Timeout+askMargin)
			defer cancel()
			results, err := v.run(waiting, race)
			if err == nil && len(results) > 0 {
				answers[i].Result = results[0]
			}
			return err
		})
	}
	err := group.Wait()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return slices.DeleteFunc(answers, func(a facts.SecondAnswer) bool { return a.Result.Attempts == 0 }), err
}
