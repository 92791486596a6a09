package target

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// examination is the state of one diagnosis of what runs already.
type targetDiagnosis struct {
	engine   engine.Engine
	target   Target
	progress engine.Progress
	report   *report.Report
	labels   engine.Labels
	networks *facts.Networks
	began    time.Time

	prepared    func(context.Context) error
	description connection.Description
	image       string // of the agent

	container *container.InspectResponse // that is explained
	name      string
	networkOf string   // the container whose network it shares; empty if it has its own
	others    []string // containers of the same service of Compose's
	found     facts.Container
	server    facts.Server
	unlooked  string // why it is not known what listens
	places    []*place
}

// perHelper is what an examination may take for each of its helpers.
const perHelper = 10 * time.Second

func newTargetDiagnosis(eng engine.Engine, target Target, progress engine.Progress) *targetDiagnosis {
	began := time.Now()
	e := &targetDiagnosis{
		engine:   eng,
		target:   target,
		progress: progress,
		report:   report.New("diagnose"),
		labels:   engine.NewLabels(engine.NewID(), began, perHelper+engine.DeadlineMargin, false),
		networks: facts.NewNetworks(eng.API),
		began:    began,
	}
	var once sync.Once
	var err error
	e.prepared = func(ctx context.Context) error {
		once.Do(func() { err = e.learn(ctx) })
		return err
	}
	return e
}

// prepare has what every place needs: what the engine is, and the agent on it. It
// is done once.
func (e *targetDiagnosis) prepare(ctx context.Context) error { return e.prepared(ctx) }

func (e *targetDiagnosis) learn(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		var err error
		e.description, err = e.engine.Describe(ctx)
		e.report.Endpoint = e.description.Endpoint
		return err
	})
	group.Go(func() error {
		var err error
		e.image, err = e.engine.AgentImage(ctx)
		return err
	})
	group.Go(func() error { return e.networks.Complete(ctx, &e.found) })
	return group.Wait()
}

// finish removes the helpers and concludes.
func (e *targetDiagnosis) finish(ctx context.Context, err error) (*report.Report, error) {
	cleaning := time.Now()
	err = errors.Join(err, engine.CleanUpRun(ctx, err != nil, e.remove))
	e.report.OK = !slices.ContainsFunc(e.report.Findings, func(f report.Finding) bool { return f.Severity == report.SeverityError })
	e.report.Timings.CleanupMS = report.Milliseconds(time.Since(cleaning))
	e.report.Timings.TotalMS = report.Milliseconds(time.Since(e.began))
	return e.report, err
}

// remove removes the helpers.
func (e *targetDiagnosis) remove(ctx context.Context) error {
	var group errgroup.Group
	for _, p := range e.places {
		if p.helper != "" {
			group.Go(func() error {
				if p.agent != nil {
					defer p.agent.Lease.Release()
				}
				return engine.RemoveContainer(ctx, e.engine.API, p.helper)
			})
		}
	}
	return group.Wait()
}

// place is somewhere to ask from.
type place struct {
	vantage  experiment.Vantage
	found    facts.Container // of the container whose networks the probes leave by
	optional bool            // nobody asked for it in particular
	network  string          // that a helper is put on
	helper   string          // name of the helper; empty on the host
	agent    *engine.Agent
	probes   []report.Probe
}

// VantageNetwork and a network's name are the vantage of a helper on it.
const VantageNetwork = "network:"

// choosePlaces turns what the user named into places; by default the host, each
// of the container's networks, and the default bridge.
func (e *targetDiagnosis) choosePlaces(ctx context.Context) error {
	for _, where := range e.target.From {
		p, err := e.place(ctx, where)
		if err != nil {
			return err
		}
		e.add(p)
	}
	if len(e.target.From) > 0 {
		return nil
	}
	e.add(&place{vantage: experiment.Vantage{Name: experiment.VantageHost}})
	for _, n := range e.found.Addresses.Networks {
		if !e.found.Addresses.HostNetwork && !e.found.Addresses.NoNetwork {
			e.add(e.onNetwork(n.Name, false))
		}
	}
	bridge, err := e.defaultBridge(ctx)
	if err != nil {
		return err
	}
	e.add(e.onNetwork(bridge, true))
	return nil
}

// add adds a place that is not there yet.
func (e *targetDiagnosis) add(p *place) {
	if !slices.ContainsFunc(e.places, func(other *place) bool { return other.vantage.Name == p.vantage.Name }) {
		e.places = append(e.places, p)
	}
}

// place is what a user calls host, network:NAME or by a container's name.
func (e *targetDiagnosis) place(ctx context.Context, where string) (*place, error) {
	if where == experiment.VantageHost {
		return &place{vantage: experiment.Vantage{Name: experiment.VantageHost}}, nil
	}
	if name, ok := strings.CutPrefix(where, VantageNetwork); ok {
		_, err := e.engine.API.NetworkInspect(ctx, name, network.InspectOptions{})
		if errdefs.IsNotFound(err) {
			return nil, fmt.Errorf("there is no network %s to ask from: docker network ls lists them", name)
		}
		if err != nil {
			return nil, fmt.Errorf("inspecting network %s: %w", name, err)
		}
		return e.onNetwork(name, false), nil
	}
	response, err := e.find(ctx, where)
	if err != nil {
		return nil, err
	}
	vantage, err := experiment.ContainerVantage(ctx, e.engine.API, response.ID)
	if err != nil {
		return nil, err
	}
	if response, _, err = facts.WithNetworkOwner(ctx, e.engine.API, response); err != nil {
		return nil, err
	}
	return &place{vantage: vantage, found: facts.ReadContainer(response, 0), helper: e.helperName()}, nil
}

// defaultBridge is the name of the network on which the engine puts containers
// that name none.
func (e *targetDiagnosis) defaultBridge(ctx context.Context) (string, error) {
	for _, name := range []string{"bridge", "podman"} {
		found, err := e.engine.API.NetworkInspect(ctx, name, network.InspectOptions{})
		if err == nil {
			return e.calledBy(ctx, found), nil
		}
		if !errdefs.IsNotFound(err) {
			return "", fmt.Errorf("inspecting network %s: %w", name, err)
		}
	}
	return "", errors.New("the engine has no default bridge: say with --from where to ask from")
}

// calledBy is what the container that is explained calls a default bridge: that
// of Podman is bridge to who asks for it, and podman to who is on it.
func (e *targetDiagnosis) calledBy(ctx context.Context, bridge network.Inspect) string {
	const podman = "podman"
	if !slices.ContainsFunc(e.found.Addresses.Networks, func(n facts.Network) bool { return n.Name == podman }) {
		return bridge.Name
	}
	found, err := e.engine.API.NetworkInspect(ctx, podman, network.InspectOptions{})
	if err == nil && found.ID == bridge.ID {
		return podman
	}
	return bridge.Name
}

func (e *targetDiagnosis) onNetwork(name string, optional bool) *place {
	return &place{
		vantage:  experiment.Vantage{Name: VantageNetwork + name},
		optional: optional,
		network:  name,
		helper:   e.helperName(),
	}
}

func (e *targetDiagnosis) helperName() string {
	return "nestprobe-" + e.labels.Run + "-" + engine.NewToken(engine.HelperBytes)
}

// ask probes the server from every place. It looks at what listens as soon as one
// of them cannot tell without, and where that costs next to nothing.
func (e *targetDiagnosis) ask(ctx context.Context, look func(context.Context, *place) error, candidates func(*place) []experiment.Candidate) error {
	group, ctx := errgroup.WithContext(ctx)
	var once sync.Once
	for _, p := range e.places {
		group.Go(func() (err error) {
			if err = e.prepare(ctx); err != nil {
				return err
			}
			if err = e.open(ctx, p); err != nil {
				return err
			}
			p.probes, err = e.probe(ctx, p, candidates(p))
			if err == nil && (e.inside(p) || needListeners(p.probes)) {
				once.Do(func() { err = look(ctx, p) })
			}
			return err
		})
	}
	return group.Wait()
}

// sockets lists what listens in the server's network namespace: by the helper of
// the place that asked, if that is in there, or by one that is started for it.
func (e *targetDiagnosis) sockets(ctx context.Context, p *place, start func() (listening.Listeners, error)) (listening.Listeners, error) {
	if prober, ok := p.vantage.Prober.(*engine.RemoteProber); ok && e.inside(p) {
		return prober.Sockets(ctx)
	}
	return start()
}

// inside says whether a place has the server's own network namespace. The host
// that is meant is not always the one whose network containers can share.
func (e *targetDiagnosis) inside(p *place) bool {
	engine := e.description.Endpoint.Engine
	switch {
	case e.server.Host && (engine.Desktop || engine.Rootless):
		return false
	case e.server.HostNetwork:
		return p.found.Addresses.HostNetwork
	default:
		return p.vantage.Container != "" && p.vantage.Container == e.report.Servers[0].ID
	}
}

// needListeners says whether what listens may tell why probes from one place
// failed: none has reached the server, or one came to its own address, or to a
// forwarder, and no further. That a container's localhost refuses, or one of many
// names for the host, is as it should be.
func needListeners(probes []report.Probe) bool {
	reached := false
	for _, p := range probes {
		reached = reached || p.OK
		switch p.Failure {
		case netprobe.Refused:
			if p.Kind == report.KindContainerIP || p.Kind == report.KindContainerName {
				return true
			}
		case netprobe.Reset, netprobe.ClosedWithoutResponse:
			return true
		default:
		}
	}
	return !reached
}

// open starts the helper of a place and learns where it is.
func (e *targetDiagnosis) open(ctx context.Context, p *place) error {
	if p.helper == "" {
		return nil
	}
	api := e.engine.API
	c := engine.NewAgentContainer(p.helper, e.image, "probe", e.labels)
	c.HostConfig.NetworkMode = container.NetworkMode("container:" + p.vantage.Container)
	if p.network != "" {
		c.HostConfig.NetworkMode = container.NetworkMode(p.network)
	}
	var err error
	if p.agent, err = engine.StartAgent(ctx, api, c); err != nil {
		return fmt.Errorf("asking from %s: %w", p.vantage.Name, err)
	}
	p.vantage.Prober = engine.NewRemoteProber(ctx, p.agent)
	if p.network != "" {
		response, err := api.ContainerInspect(ctx, p.agent.ID)
		if err != nil {
			return fmt.Errorf("inspecting the helper on network %s: %w", p.network, err)
		}
		p.vantage.Container, p.found = p.agent.ID, facts.ReadContainer(response, 0)
	}
	return e.networks.Complete(ctx, &p.found)
}

// probe tries addresses from a place. The server is meant to run, so none gets
// longer than it takes to try it and once more.
func (e *targetDiagnosis) probe(ctx context.Context, p *place, candidates []experiment.Candidate) ([]report.Probe, error) {
	attempts := make([]experiment.Attempt, len(candidates))
	for i, candidate := range candidates {
		attempts[i] = experiment.Attempt{
			Candidate: candidate,
			Grace:     experiment.Grace(e.found.Addresses, candidate),
			Target:    netprobe.Target{Scheme: netprobe.TCP, Address: candidate.Address},
		}
	}
	waiting, cancel := context.WithTimeout(ctx, e.target.Timeout)
	defer cancel()
	results, err := p.vantage.Race(waiting, attempts, netprobe.Race{Timeout: e.target.Timeout})
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return experiment.Rows(p.vantage.Name, 0, attempts, results), nil
}

// facts are what the diagnosis has to know of a place.
func (p *place) facts(server facts.Container) facts.Vantage {
	v := facts.Vantage{
		Name:      p.vantage.Name,
		Container: p.vantage.Container != "" && !p.found.Addresses.HostNetwork,
		NoNetwork: p.found.Addresses.NoNetwork,
		Networks:  p.found.Addresses.Networks,
		Optional:  p.optional,
		Routes:    facts.Routes(server.Addresses.Networks),
		Addresses: facts.OwnAddresses(),
	}
	return v
}

// conclude finds out why probes failed, and the address to use from each place.
func (e *targetDiagnosis) conclude() {
	known := diagnosis.Input{
		Engine: facts.NewEngine(e.engine.Host, e.engine.Loopback, e.description.Endpoint.Engine),
		Server: e.server,
	}
	for _, p := range e.places {
		e.report.Probes = append(e.report.Probes, p.probes...)
		known.Vantages = append(known.Vantages, p.facts(e.found))
	}
	if len(e.places) == 0 { // it does not run
		known.Vantages = []facts.Vantage{{Name: experiment.VantageHost}}
	}
	e.report.Findings = diagnosis.Explain(known, e.report.Probes)
	for _, p := range e.places {
		if best, ok := experiment.PickBest(0, p.probes, p.vantage.KindRanking(), ""); ok {
			e.report.Best = append(e.report.Best, best)
		}
	}
}
