package target

import (
	"context"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
)

// askAgain probes again from a place from which no address works, in the ways that may
// prove why; see experiment.Questions.
func (r *run) askAgain(ctx context.Context, p *place) (err error) {
	var names []string
	if !r.known.Server.Host {
		names = r.names()
	}
	questions := experiment.Questions(p.vantage, p.attempts, p.probes, r.terms(), names)
	p.asked, err = experiment.AskAgain(ctx, p.vantage, questions)
	return err
}
