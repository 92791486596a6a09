package target

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

// sockets reads the sockets of the server's network namespace.
type sockets interface {
	Sockets(ctx context.Context) (listening.Listeners, error)
	witness.Reader
}

// thisMachine reads the sockets of this process's network namespace.
type thisMachine struct{ traffic listening.TrafficReader }

func (*thisMachine) Sockets(context.Context) (listening.Listeners, error) { return listening.Read() }

func (m *thisMachine) Traffic(_ context.Context, port uint16) (listening.Traffic, error) {
	return m.traffic.Traffic(port)
}

func (m *thisMachine) Baseline(_ context.Context, port uint16) (listening.Traffic, error) {
	return m.traffic.Baseline(port)
}

// engineHost reads the sockets of the engine's host, and the connections of this machine
// too: an engine in a VM does not always say so, and the host that is meant may be either.
type engineHost struct {
	*engine.RemoteProber

	machine thisMachine
}

func (h *engineHost) Baseline(ctx context.Context, port uint16) (listening.Traffic, error) {
	traffic, err := h.RemoteProber.Baseline(ctx, port)
	if err != nil {
		return traffic, err
	}
	here, err := h.machine.Baseline(ctx, port)
	return merge(traffic, here), unlessUnsupported(err)
}

func (h *engineHost) Traffic(ctx context.Context, port uint16) (listening.Traffic, error) {
	traffic, err := h.RemoteProber.Traffic(ctx, port)
	if err != nil {
		return traffic, err
	}
	here, err := h.machine.Traffic(ctx, port)
	return merge(traffic, here), unlessUnsupported(err)
}

// merge adds to the traffic of the engine's host that of this machine, each connection and
// queue once: the two may be the same.
func merge(traffic, here listening.Traffic) listening.Traffic {
	for _, c := range here.Connections {
		if !slices.Contains(traffic.Connections, c) {
			traffic.Connections = append(traffic.Connections, c)
		}
	}
	for _, q := range here.Queues {
		if !slices.ContainsFunc(traffic.Queues, func(other listening.Queue) bool { return other.Address == q.Address }) {
			traffic.Queues = append(traffic.Queues, q)
		}
	}
	return traffic
}

// unlessUnsupported drops the error of a machine that is not Linux, which adds nothing.
func unlessUnsupported(err error) error {
	if errors.Is(err, listening.ErrUnsupported) {
		return nil
	}
	return err
}

// startWitness starts the witness beside the helpers of the places, unless one of those is
// in the server's network namespace. The connections to a port of the host that a
// container publishes arrive at the container. If the engine runs in a VM or is rootless,
// its host is this machine. The witness lives until watching ends. If it cannot be
// started, that is recorded and no error.
func (r *run) startWitness(ctx, watching context.Context) error {
	e := r.description.Endpoint.Engine
	where := container.NetworkMode("host")
	publishers := r.known.Server.PublishedBy
	switch {
	case r.here:
		r.findProcess()
		return nil
	case len(publishers) == 1:
		where = container.NetworkMode("container:" + publishers[0].Container)
	case r.known.Server.Host && (e.Desktop || e.Rootless):
		if r.engine.Self.OnHost() {
			r.witness = &thisMachine{}
		}
		return nil
	case r.sharesNamespace():
		return r.startContainerWitness(ctx, watching)
	case slices.ContainsFunc(r.places, r.isInside):
		return nil // see insider
	case !r.known.Server.Host:
		where = container.NetworkMode("container:" + r.known.Container.ID)
	}
	r.witnessName = r.newHelperName()
	started, err := r.engine.StartProber(ctx, watching, r.witnessName, r.image, where, r.labels)
	if err != nil {
		return r.recordUnknown(ctx, err)
	}
	r.witnessAgent, r.witness = started.Agent, started
	if r.known.Server.Host && len(publishers) == 0 && r.engine.Self.OnHost() {
		r.witness = &engineHost{RemoteProber: started}
	}
	return nil
}

// sharesNamespace says whether the container has joined the network of the host or of
// another container, so that not every socket there is its own. It is false for a container
// that others have joined: the servers of these are reached at its addresses and ports, so
// they count as its own.
func (r *run) sharesNamespace() bool {
	return !r.known.Server.Host && (r.known.Server.HostNetwork || r.known.NetworkOf != "")
}

// startContainerWitness starts the witness of a container that has joined the network of
// others. It is in the container's PID namespace too, to tell their sockets from its own.
func (r *run) startContainerWitness(ctx, watching context.Context) error {
	r.witnessName = r.newHelperName()
	started, err := r.engine.StartContainerProber(ctx, watching, r.witnessName, r.image, r.known.Container.ID, r.known.Server.HostNetwork, r.labels)
	if err != nil {
		return r.recordUnknown(ctx, err)
	}
	r.witnessAgent, r.witness, r.seesProcesses = started.Agent, started, true
	return nil
}

// insider returns the witness: that of a place in the server's network namespace, if there
// is one; nil if there is none.
func (r *run) insider() sockets {
	if r.seesProcesses {
		return r.witness
	}
	for _, p := range r.places {
		if !r.isInside(p) {
			continue
		}
		if prober, ok := p.vantage.Prober.(*engine.RemoteProber); ok {
			return prober
		}
		return &thisMachine{} // this process is there
	}
	return r.witness
}

// watch records what listens in the server's network namespace, and which of the
// connections to the addresses arrive there.
func (r *run) watch(ctx context.Context) error {
	defer func() {
		for _, p := range r.places {
			p.probes = witness.Judge(p.probes, r.found.Networks, p.watched)
		}
	}()
	insider := r.insider()
	if insider == nil && (r.here || r.hostIsUnknown()) {
		r.trustSilent()
	}
	if insider == nil {
		return nil
	}
	port := r.known.Server.Port
	if publishers := r.known.Server.PublishedBy; len(publishers) == 1 {
		port = publishers[0].Port
	} else if err := r.listListeners(ctx, insider); err != nil || r.known.ListenersError != "" {
		return err
	}
	if err := r.fromEach(ctx, r.retryRefused); err != nil {
		return err
	}
	if err := r.retryOneByOne(ctx); err != nil {
		return err
	}
	if r.hostIsUnknown() {
		r.trustSilent()
		return nil
	}
	addresses, of := r.connected()
	if err := r.findRedirect(ctx, insider); err != nil {
		return r.recordUnknown(ctx, err)
	}
	if to := r.known.Server.RedirectedTo; to != 0 {
		port = to
	}
	sightings, err := r.sightings(ctx, insider, port, addresses)
	if err != nil {
		return r.recordUnknown(ctx, err)
	}
	for i, s := range sightings {
		of[i].watched.Sightings = append(of[i].watched.Sightings, s)
	}
	return nil
}

// connected returns the addresses that accepted a connection, and the place of each.
func (r *run) connected() (addresses []witness.Address, of []*place) {
	for _, p := range r.places {
		for _, probe := range p.probes {
			if witness.Connected(probe) {
				addresses = append(addresses, witness.Address{From: p.vantage.Holder(), Address: probe.Address})
				of = append(of, p)
			}
		}
	}
	return addresses, of
}

// maxRedirects bounds to how many other ports connections are looked for.
const maxRedirects = 5

// findRedirect finds out at which port connections arrive, if the container's own address accepts
// them though nothing listens on the server's port: a rule in its network namespace, such as that
// of a service mesh's proxy, redirects them.
func (r *run) findRedirect(ctx context.Context, insider sockets) error {
	listeners, port := r.known.Server.Listeners, r.known.Server.Port
	if listeners == nil || listeners.Truncated || r.known.Server.HostNetwork || r.known.Server.Host || !listeners.None(port) {
		return nil
	}
	for _, p := range r.places {
		i := slices.IndexFunc(p.probes, func(probe report.Probe) bool { return probe.Kind == report.KindContainerIP && witness.Connected(probe) })
		if i < 0 {
			continue
		}
		address := []witness.Address{{From: p.vantage.Holder(), Address: p.probes[i].Address}}
		others := listeners.Elsewhere(port)
		for _, other := range others[:min(len(others), maxRedirects)] {
			seen, err := r.sightings(ctx, insider, other.Port(), address)
			if err != nil {
				return err
			}
			if seen[0].Seen.Arrived() {
				r.known.Server.RedirectedTo = other.Port()
				return nil
			}
		}
		return nil
	}
	return nil
}

// sightings returns what the witness sees of connections to the addresses.
func (r *run) sightings(ctx context.Context, insider sockets, port uint16, addresses []witness.Address) ([]facts.Sighting, error) {
	if own := r.known.Server.Listeners; r.seesProcesses && own != nil {
		return witness.WatchOwn(ctx, insider, *own, port, addresses, r.target.Timeout)
	}
	return witness.Watch(ctx, insider, port, addresses, r.target.Timeout)
}

// hostIsUnknown says whether the sockets of the host that is meant cannot be read: the
// engine's own host has no listener on the port, so it may be a VM, and this process is not
// on the machine of the user, or that is not Linux.
func (r *run) hostIsUnknown() bool {
	s := r.known.Server
	if !s.Host || len(s.PublishedBy) > 0 || len(s.Queues) > 0 {
		return false
	}
	if !r.engine.Self.OnHost() {
		return true
	}
	_, err := listening.ReadTraffic(s.Port)
	return errors.Is(err, listening.ErrUnsupported)
}

// trustSilent takes connections that were accepted and stayed open for those of a server
// whose sockets cannot be read. Their identity is unverified.
func (r *run) trustSilent() {
	for _, p := range r.places {
		for i := range p.probes {
			if probe := &p.probes[i]; probe.Failure == netprobe.Silent {
				probe.OK, probe.Failure, probe.Detail = true, "", "connection accepted and kept open"
			}
		}
	}
}

// distrust changes the answers of a server that does not run, unless the witness has seen
// them: another server gave them.
func (r *run) distrust() {
	for _, p := range r.places {
		witness.Distrust(p.probes, func(report.Probe) bool { return true }, "an answer, but the container does not run")
	}
}

// retryRefused probes again the addresses that refused, if the server listens by now: it may
// have begun after they were probed.
func (r *run) retryRefused(ctx context.Context, p *place) error {
	if s := r.known.Server; s.Listeners == nil || len(s.Listeners.On(s.Port)) == 0 {
		return nil
	}
	var again []probing.Attempt
	var rows []int
	for i, probe := range p.probes {
		at := slices.IndexFunc(p.attempts, func(a probing.Attempt) bool { return a.Address == probe.Address })
		if probe.Failure == netprobe.Refused && at >= 0 {
			again, rows = append(again, p.attempts[at]), append(rows, i)
		}
	}
	if len(again) == 0 {
		return nil
	}
	terms := r.terms()
	terms.Once = true
	results, err := p.vantage.Race(ctx, again, terms)
	if err != nil {
		return err
	}
	for i, row := range probing.Rows(p.vantage.Name, 0, again, results) {
		row.Attempts += p.probes[rows[i]].Attempts
		p.probes[rows[i]] = row
	}
	return context.Cause(ctx)
}

// retryOneByOne probes again the addresses that gave no answer in time, if the server answers
// others and takes so long for one that it may have had no time for all.
func (r *run) retryOneByOne(ctx context.Context) (err error) {
	var all []report.Probe
	attempts := 0
	for _, p := range r.places {
		all = append(all, p.probes...)
		attempts += len(p.attempts)
	}
	if !probing.MayHaveWaited(all, attempts, r.target.Timeout) {
		return nil
	}
	for _, p := range r.places {
		if p.probes, err = probing.RetryOneByOne(ctx, p.vantage, 0, p.attempts, p.probes, r.terms()); err != nil {
			return err
		}
	}
	return nil
}

// listListeners records what listens in the server's network namespace. If nothing listens
// on a container's port, it also reads the end of the server's log.
func (r *run) listListeners(ctx context.Context, insider sockets) error {
	listeners, err := insider.Sockets(ctx)
	if err != nil {
		return r.recordUnknown(ctx, err)
	}
	r.known.Server.Listeners = &listeners
	traffic, err := insider.Traffic(ctx, r.known.Server.Port)
	if err != nil {
		return r.recordUnknown(ctx, err)
	}
	r.known.Server.Queues = traffic.Queues
	if !r.known.Server.Host && len(listeners.On(r.known.Server.Port)) == 0 {
		r.known.Server.Log = engine.LogEvidence(engine.LastLog(ctx, r.reader, r.known.Container.ID, engine.HasTerminal(*r.known.Container)))
	}
	return nil
}

// recordUnknown records why it is not known what listens. It returns the error only if
// the command cannot go on.
func (r *run) recordUnknown(ctx context.Context, err error) error {
	if errors.As(err, new(*engine.CleanUpError)) || ctx.Err() != nil {
		return err
	}
	r.known.ListenersError = netprobe.Visible(err.Error(), report.MaxLine)
	return nil
}

// noteUnknown notes why it is not known what listens, unless the server's state explains it:
// no helper can join a container that ends meanwhile.
func (r *run) noteUnknown() {
	if r.known.ListenersError != "" && r.known.Server.Down == nil {
		r.progress.Note("what listens is not known: " + r.known.ListenersError)
	}
}
