package experiment

import (
	"context"
	"errors"
	"slices"

	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/witness"
)

// identify returns the probes with who answered. The built-in server says so itself. For
// the user's server a witness is started, but only if it is in doubt who answered. It
// lives until watching ends.
func (s *server) identify(ctx, watching context.Context, probes []report.Probe) ([]report.Probe, error) {
	if s.run.request.Builtin() {
		return probes, nil
	}
	if err := s.examine(ctx, watching, probes); err != nil {
		return nil, err
	}
	if s.hasExited() {
		s.distrust(probes)
		return probes, nil
	}
	var judged []report.Probe
	for _, v := range s.run.inspectedVantages() {
		judged = append(judged, witness.Judge(report.ProbesFrom(v.Name, probes), s.found.Networks, s.watched[v.Name])...)
	}
	if s.witness == nil {
		s.distrust(judged)
	}
	return judged, nil
}

// examine finds out what is in doubt: whether the server has exited since it answered, and
// who answered.
func (s *server) examine(ctx, watching context.Context, probes []report.Probe) error {
	if s.hasExited() {
		return nil
	}
	if anyOK(probes) && slices.ContainsFunc(probes, mayHaveExited) {
		if exited, err := s.exitedMeanwhile(ctx); exited || err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(probes, s.isDoubtful) {
		return nil
	}
	return s.watch(ctx, watching, probes)
}

// mayHaveExited says whether a probe failed as it does after the server has exited.
func mayHaveExited(p report.Probe) bool {
	return p.Failure == netprobe.Refused || p.Failure == netprobe.Reset || p.Failure == netprobe.ClosedWithoutResponse
}

// isDoubtful says whether it is in doubt who answered a probe: an answer that is not
// good, one at an address that should not lead to the server, one of a name with several
// addresses, one in a namespace where others listen too, or none at an address where the
// port is published.
func (s *server) isDoubtful(p report.Probe) bool {
	switch {
	case p.OK:
		return s.isElsewhere(p) || len(p.Resolved) > 1 || s.sharesNamespace()
	case witness.Connected(p):
		return true
	default:
		return p.Vantage == probing.VantageHost && p.Kind == report.KindPublishedLocalhost && !s.isElsewhere(p) && p.Failure != netprobe.Unreachable
	}
}

// isElsewhere says whether nothing is known to lead from a probe's address to the server.
// On a Desktop engine, another process of this machine may have its localhost.
func (s *server) isElsewhere(p report.Probe) bool {
	if p.Vantage == probing.VantageHost && p.Kind == report.KindPublishedLocalhost && s.run.description.Endpoint.Engine.Desktop {
		return true
	}
	for _, v := range s.run.inspectedVantages() {
		if v.Name == p.Vantage {
			return slices.ContainsFunc(s.attempts(v), func(a probing.Attempt) bool { return a.Address == p.Address && a.Elsewhere })
		}
	}
	return false
}

// distrust changes the answers from addresses that should not lead to the server, if no
// witness could be started.
func (s *server) distrust(probes []report.Probe) {
	witness.Distrust(probes, s.isElsewhere, "an answer, but nothing that is known leads from this address to the server")
}

// watch has a witness look for connections to the addresses that accepted one.
func (s *server) watch(ctx, watching context.Context, probes []report.Probe) error {
	if err := s.startWitness(ctx, watching); err != nil || s.witness == nil {
		return err
	}
	var addresses []witness.Address
	var from []string
	for _, v := range s.run.inspectedVantages() {
		for _, p := range report.ProbesFrom(v.Name, probes) {
			if witness.Connected(p) {
				addresses = append(addresses, witness.Address{From: v.Holder(), Address: p.Address})
				from = append(from, v.Name)
			}
		}
	}
	sightings, err := s.sightings(ctx, addresses)
	if err != nil {
		return s.noteUnknown(ctx, err)
	}
	s.watched = map[string]facts.Watched{}
	for i, sighting := range sightings {
		w := s.watched[from[i]]
		w.Sightings = append(w.Sightings, sighting)
		s.watched[from[i]] = w
	}
	return nil
}

// sightings returns what the witness sees of connections to the addresses.
func (s *server) sightings(ctx context.Context, addresses []witness.Address) ([]facts.Sighting, error) {
	port, timeout := s.run.plan.Port, s.run.request.Timeout
	if !s.sharesNamespace() {
		return witness.Watch(ctx, s.witness, port, addresses, timeout)
	}
	own, err := s.witness.Sockets(ctx)
	if err != nil {
		return nil, err
	}
	return witness.WatchOwn(ctx, s.witness, own, port, addresses, timeout)
}

// sharesNamespace says whether the server has joined the network of the host or of another
// container, where others listen too.
func (s *server) sharesNamespace() bool {
	return s.found.HostNetwork || s.found.Namespace != "" && s.found.Namespace != s.id
}

// startWitness starts a helper in the server's network namespace, unless it runs. If that
// fails, it is a note and no error of the run, which has measured what it could.
func (s *server) startWitness(ctx, watching context.Context) error {
	if s.witness != nil {
		return nil
	}
	r := s.run
	defer r.options.Progress.Step("Reading which sockets listen in the container")()
	image, err := r.engine.AgentImage(ctx)
	if err == nil {
		s.witnessName = "nestprobe-" + r.name + "-witness-" + engine.NewToken(engine.HelperBytes)
		if s.witness, err = s.startProber(ctx, watching, image); err == nil {
			return nil
		}
	}
	if exited, exitErr := s.exitedMeanwhile(ctx); exited || exitErr != nil {
		return exitErr
	}
	return s.noteUnknown(ctx, err)
}

// exitedMeanwhile says whether the server has exited since its last answer. Its fault is then
// known.
func (s *server) exitedMeanwhile(ctx context.Context) (bool, error) {
	response, err := s.run.engine.API.ContainerInspect(ctx, s.id)
	if err != nil || response.State == nil || response.State.Running {
		return false, nil //nolint:nilerr // the caller has the error that matters
	}
	s.found.Running = false
	err = s.awaitExit(ctx, ctx)
	return s.hasExited(), err
}

// startProber starts the witness's helper.
func (s *server) startProber(ctx, watching context.Context, image string) (*engine.RemoteProber, error) {
	r := s.run
	if s.sharesNamespace() {
		return r.engine.StartContainerProber(ctx, watching, s.witnessName, image, s.id, s.found.HostNetwork, r.labels)
	}
	return r.engine.StartProber(ctx, watching, s.witnessName, image, container.NetworkMode("container:"+s.id), r.labels)
}

// sockets reads which sockets listen in the server's network namespace. Both are nil if
// that is not known.
func (s *server) sockets(ctx context.Context) (*listening.Listeners, []listening.Queue, error) {
	if err := s.startWitness(ctx, ctx); err != nil || s.witness == nil {
		return nil, nil, err
	}
	found, err := s.witness.Sockets(ctx)
	if err != nil {
		return nil, nil, s.noteUnknown(ctx, err)
	}
	traffic, err := s.witness.Traffic(ctx, s.run.plan.Port)
	if err != nil {
		return nil, nil, s.noteUnknown(ctx, err)
	}
	return &found, traffic.Queues, nil
}

// noteUnknown notes that it is not known what listens. It returns the error only if the
// command cannot go on.
func (s *server) noteUnknown(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.As(err, new(*engine.CleanUpError)) {
		return err
	}
	s.run.options.Progress.Note("the listening sockets are not known: " + err.Error())
	return nil
}

// removeWitness removes the witness, even if it has been started only in part.
func (s *server) removeWitness(ctx context.Context) error {
	if s.witnessName == "" {
		return nil
	}
	var lease *engine.Lease
	if s.witness != nil {
		lease = s.witness.Agent.Lease
	}
	err := engine.RemoveContainer(ctx, s.run.engine.API, s.witnessName, lease)
	if err == nil {
		s.witness, s.witnessName = nil, ""
	}
	return err
}
