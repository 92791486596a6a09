package probing

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Questions returns the probes that may prove why no address works from a vantage: to
// the address that came furthest, once each. There are none if an address works, or if
// no question may decide it. Names are what the server may be called in a Host header.
func Questions(v Vantage, attempts []Attempt, probes []report.Probe, terms netprobe.Race, names []string) []facts.SecondAnswer {
	var furthest *report.Probe
	var questions []netprobe.Question
	for i := range probes {
		p := &probes[i]
		if p.OK {
			return nil
		}
		if furthest != nil && !v.prefers(p, furthest) {
			continue
		}
		if asked := questionsAbout(p, attempts, terms, names); len(asked) > 0 {
			furthest, questions = p, asked
		}
	}
	asked := make([]facts.SecondAnswer, len(questions))
	for i := range questions {
		asked[i] = facts.SecondAnswer{Question: questions[i], Address: furthest.Address, Failure: furthest.Failure, Status: furthest.Status}
	}
	return asked
}

// prefers says whether a probe came further than another one, or as far at an address
// that stays valid longer.
func (v Vantage) prefers(p, other *report.Probe) bool {
	if p.Phase != other.Phase {
		return p.Phase.After(other.Phase)
	}
	ranking := v.KindRanking("")
	return slices.Index(ranking, p.Kind) < slices.Index(ranking, other.Kind)
}

// questionsAbout returns the questions about one probe.
func questionsAbout(p *report.Probe, attempts []Attempt, terms netprobe.Race, names []string) []netprobe.Question {
	for i := range attempts {
		if attempts[i].Address == p.Address {
			first := netprobe.Result{Phase: p.Phase, Failure: p.Failure, Status: p.Status, Identity: p.Identity}
			return attempts[i].Target.Questions(first, terms, names)
		}
	}
	return nil
}

// askMargin is how much longer than its time limit one probe may take: the agent gets it
// later than it was sent.
const askMargin = 500 * time.Millisecond

// AskAgain sends the questions in parallel and returns them with their
// answers. Only a Prober, and the end of ctx, return an error.
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
	return answers, err
}
