package experiment

import (
	"context"
	"errors"
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// explain finds out why a server's probes failed, from one vantage after the other.
// What takes a helper is found out for a server that is reached at no address
// alone. It also says from which vantages the server is reached.
func (r *run) explain(ctx context.Context, s *server, probes []report.Probe) ([]report.Finding, []report.Reach, error) {
	if err := r.networks.Complete(ctx, &s.found); err != nil {
		return nil, nil, err
	}
	server := s.facts()
	if server.Down == nil && cameFar(probes) {
		var err error
		if server.Listeners, err = s.listeners(ctx); err != nil {
			return nil, nil, err
		}
		server.Log = s.log(ctx)
	}
	var all []report.Finding
	var reaches []report.Reach
	for _, v := range r.views() {
		vantage, err := r.vantageFacts(ctx, s, v, probes)
		if err != nil {
			return nil, nil, err
		}
		findings := diagnosis.Explain(diagnosis.Input{
			Engine:   facts.NewEngine(r.engine.Host, r.engine.Loopback, r.description.Endpoint.Engine),
			Server:   server,
			Vantages: []facts.Vantage{vantage},
		}, probes)
		reaches = append(reaches, reach(s.index, v, probes, findings, r.spec.Path))
		all = diagnosis.Merge(all, findings)
	}
	return all, reaches, nil
}

// vantageFacts are what the diagnosis has to know of a vantage.
func (r *run) vantageFacts(ctx context.Context, s *server, v view, probes []report.Probe) (facts.Vantage, error) {
	// A copy, since other servers of a fleet are being started from the same vantage.
	v.found.ReportNetworks, v.found.Addresses.Networks = slices.Clone(v.found.ReportNetworks), slices.Clone(v.found.Addresses.Networks)
	if err := r.networks.Complete(ctx, &v.found); err != nil {
		return facts.Vantage{}, err
	}
	known := facts.Vantage{
		Name:      v.vantage.Name,
		Container: v.vantage.Container != "" && !v.found.Addresses.HostNetwork,
		NoNetwork: v.found.Addresses.NoNetwork,
		Networks:  v.found.Addresses.Networks,
	}
	if v.vantage.Container == "" {
		known.Routes, known.Addresses = facts.Routes(s.found.Addresses.Networks), facts.OwnAddresses()
	}
	if s.exit != nil {
		return known, nil
	}
	var err error
	known.Small, err = s.askForLittle(ctx, v, from(v.vantage.Name, probes))
	return known, err
}

// facts are what is known of the server.
func (s *server) facts() facts.Server {
	facts := facts.NewServer(s.name, s.run.spec.Port, s.found)
	facts.StartedByUs = !s.run.spec.Keep
	if s.exit != nil {
		facts.Down = s.exit.Fault(s.name)
	}
	return facts
}

// cameFar says whether no address works although some packets found their way:
// what listens in the container may tell why.
func cameFar(probes []report.Probe) bool {
	far := false
	for _, p := range probes {
		if p.OK {
			return false
		}
		switch p.Failure {
		case netprobe.Refused, netprobe.Reset, netprobe.ClosedWithoutResponse, netprobe.TLSClosed:
			far = true
		default:
		}
	}
	return far
}

// log is what the server has printed last.
func (s *server) log(ctx context.Context) []string {
	if s.lease != nil {
		return engine.LogEvidence(s.lease.Output.Lines())
	}
	return engine.LogEvidence(engine.LastLog(ctx, s.run.engine.API, s.id, false))
}

// listeners looks at what listens in the server's network namespace. What keeps it
// from being known is no error of the run, which has measured what it could.
func (s *server) listeners(ctx context.Context) (*listening.Listeners, error) {
	r := s.run
	defer r.progress.Step("Looking at what listens in the container")()
	image, err := r.engine.AgentImage(ctx)
	if err == nil {
		var found listening.Listeners
		if found, err = engine.Sockets(ctx, r.engine.API, image, s.id, r.labels); err == nil {
			return &found, nil
		}
	}
	if ctx.Err() != nil || errors.As(err, new(*engine.CleanUpError)) {
		return nil, err
	}
	r.progress.Note("what listens is not known: " + netprobe.Visible(err.Error(), report.MaxLine))
	return nil, nil //nolint:nilnil // as diagnosis.Server has it
}
