package target

import (
	"context"
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/witness"
)

// askAgain probes again from a place from which no address works, or not the one that was
// typed, in the ways that may prove why; see probing.Questions.
func (r *run) askAgain(ctx context.Context, p *place) (err error) {
	var names []string
	if !r.known.Server.Host {
		names = r.names()
	}
	about := p.probes
	if i := slices.IndexFunc(about, func(probe report.Probe) bool { return probe.Address == p.typed && !probe.OK }); i >= 0 {
		about = about[i : i+1] // the one that must work
	}
	questions := probing.Questions(p.vantage, p.attempts, about, r.terms(), names)
	if p.asked, err = probing.AskAgain(ctx, p.vantage, questions); err != nil {
		return err
	}
	answered := func(a facts.SecondAnswer) bool { return a.Way == netprobe.AskLonger && a.Result.OK }
	if !slices.ContainsFunc(p.asked, answered) {
		return nil
	}
	// By now the server has handled what earlier probes had sent, for which it may have needed
	// the time.
	r.oneByOne.Lock()
	defer r.oneByOne.Unlock()
	if p.probes, err = probing.RetryOneByOne(ctx, p.vantage, 0, p.attempts, p.probes, r.terms()); err != nil {
		return err
	}
	p.probes = witness.Judge(p.probes, r.found.Networks, p.watched)
	return nil
}
