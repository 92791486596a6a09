package experiment

import (
	"context"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// explain finds out why a server's probes failed, for one vantage after the other.
// Helpers are started only if no address works. It also returns from which vantages the
// server is reached.
func (r *run) explain(ctx context.Context, s *server, probes []report.Probe) (diagnosis.Result, []report.Reach, error) {
	explained := diagnosis.Result{Probes: probes}
	if err := r.networks.Complete(ctx, &s.found); err != nil {
		return explained, nil, err
	}
	server := s.facts()
	server.Down = s.exitAfter(probes)
	if server.Down == nil && (s.witness != nil || !anyOK(probes)) {
		var err error
		if server.Listeners, server.Queues, err = s.sockets(ctx); err != nil {
			return explained, nil, err
		}
		server.Down = s.exitAfter(probes)
		if !anyOK(probes) {
			server.Log = s.log(ctx)
		}
	}
	var reaches []report.Reach
	for _, v := range r.inspectedVantages() {
		vantage, err := r.vantageFacts(ctx, s, v, probes)
		if err != nil {
			return diagnosis.Result{Probes: explained.Probes}, nil, err
		}
		result := diagnosis.Explain(diagnosis.Input{
			Engine:   facts.NewEngine(r.engine.Host, r.engine.Loopback, r.description.Endpoint.Engine),
			Server:   server,
			Vantages: []facts.Vantage{vantage},
		}, explained.Probes)
		reaches = append(reaches, r.reach(s.index, v, probes, result.Findings))
		explained.Probes, explained.Findings = result.Probes, diagnosis.Merge(explained.Findings, result.Findings)
	}
	return explained, reaches, nil
}

// vantageFacts returns what the diagnosis needs to know of a vantage.
func (r *run) vantageFacts(ctx context.Context, s *server, v inspectedVantage, probes []report.Probe) (facts.Vantage, error) {
	// A copy, since other goroutines start servers on demand from the same vantage.
	v.found.ReportNetworks, v.found.Networks = slices.Clone(v.found.ReportNetworks), slices.Clone(v.found.Networks)
	if err := r.networks.Complete(ctx, &v.found.Container); err != nil {
		return facts.Vantage{}, err
	}
	known := v.found.Vantage(v.Name)
	known.Container, known.Foreign, known.Down = v.Container != "" && !v.found.HostNetwork, v.Foreign, v.Down
	if v.Container == "" {
		known.Routes, known.Addresses = facts.Routes(s.found.Networks), facts.OwnAddresses()
	}
	known.Watched = s.watched[v.Name]
	if s.hasExited() {
		return known, nil
	}
	var err error
	known.Asked, err = s.askAgain(ctx, v, report.ProbesFrom(v.Name, probes))
	return known, err
}

// facts returns what is known of the server.
func (s *server) facts() facts.Server {
	facts := facts.NewServer(s.name, s.run.plan.Port, s.found)
	facts.StartedByUs = !s.run.plan.Keep
	facts.PublishByDefault = s.run.request.PublishPort
	return facts
}

// exitAfter is how the server exited, which may have answered some of the probes.
func (s *server) exitAfter(probes []report.Probe) *report.Fault {
	if s.exit == nil || !anyOK(probes) {
		return s.exit
	}
	return diagnosis.WhileProbed(s.exit, "The server exited after it had answered", "it answered before it exited")
}

// log returns the last lines that the server printed.
func (s *server) log(ctx context.Context) []string {
	if s.lease != nil {
		return engine.LogEvidence(s.lease.Output.Lines())
	}
	return engine.LogEvidence(engine.LastLog(ctx, s.run.engine.API, s.id, false))
}

func anyOK(probes []report.Probe) bool {
	return slices.ContainsFunc(probes, func(p report.Probe) bool { return p.OK })
}

// askAgain probes again from a vantage from which no address works; see probing.AskAgain.
func (s *server) askAgain(ctx context.Context, v inspectedVantage, probes []report.Probe) ([]facts.SecondAnswer, error) {
	questions := probing.Questions(v.Vantage, s.attempts(v), probes, s.run.request.Terms(), append([]string{s.name}, s.found.Aliases...))
	if len(questions) == 0 {
		return nil, nil
	}
	defer s.run.options.Progress.Step("Probing again in other ways")()
	return probing.AskAgain(ctx, v.Vantage, questions)
}
