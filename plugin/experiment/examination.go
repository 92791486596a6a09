package experiment

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
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// examination is the state of one diagnosis of what runs already.
type examination struct {
	engine   Engine
	target   Target
	progress Progress
	report   *report.Report
	labels   labels
	networks *networks
	began    time.Time

	prepared    func(context.Context) error
	description connection.Description
	image       string // of the agent

	container *container.InspectResponse // that is explained
	name      string
	networkOf string   // the container whose network it shares; empty if it has its own
	others    []string // containers of the same service of Compose's
	found     inspection
	server    diagnosis.Server
	unlooked  string // why it is not known what listens
	places    []*place
}

// perHelper is what an examination may take for each of its helpers.
const perHelper = 10 * time.Second

func newExamination(engine Engine, target Target, progress Progress) *examination {
	began := time.Now()
	e := &examination{
		engine:   engine,
		target:   target,
		progress: progress,
		report:   report.New("diagnose"),
		labels:   newLabels(NewID(), began, perHelper+deadlineMargin, false),
		networks: newNetworks(engine.API),
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
func (e *examination) prepare(ctx context.Context) error { return e.prepared(ctx) }

func (e *examination) learn(ctx context.Context) error {
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
	group.Go(func() error { return e.networks.complete(ctx, &e.found) })
	return group.Wait()
}

// finish removes the helpers and concludes.
func (e *examination) finish(ctx context.Context, err error) (*report.Report, error) {
	cleaning := time.Now()
	err = errors.Join(err, clearUp(ctx, err != nil, e.remove))
	e.report.OK = !slices.ContainsFunc(e.report.Findings, func(f report.Finding) bool { return f.Severity == report.SeverityError })
	e.report.Timings.CleanupMS = milliseconds(time.Since(cleaning))
	e.report.Timings.TotalMS = milliseconds(time.Since(e.began))
	return e.report, err
}

// remove removes the helpers.
func (e *examination) remove(ctx context.Context) error {
	var group errgroup.Group
	for _, p := range e.places {
		if p.helper != "" {
			group.Go(func() error {
				if p.agent != nil {
					defer p.agent.lease.release()
				}
				return removeContainer(ctx, e.engine.API, p.helper)
			})
		}
	}
	return group.Wait()
}

// place is somewhere to ask from.
type place struct {
	vantage  Vantage
	found    inspection // of the container whose networks the probes leave by
	optional bool       // nobody asked for it in particular
	network  string     // that a helper is put on
	helper   string     // name of the helper; empty on the host
	agent    *agent
	probes   []report.Probe
}

// VantageNetwork and a network's name are the vantage of a helper on it.
const VantageNetwork = "network:"

// choosePlaces turns what the user named into places; by default the host, each
// of the container's networks, and the default bridge.
func (e *examination) choosePlaces(ctx context.Context) error {
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
	e.add(&place{vantage: Vantage{Name: VantageHost}})
	for _, n := range e.found.facts.Networks {
		if !e.found.facts.HostNetwork && !e.found.facts.NoNetwork {
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
func (e *examination) add(p *place) {
	if !slices.ContainsFunc(e.places, func(other *place) bool { return other.vantage.Name == p.vantage.Name }) {
		e.places = append(e.places, p)
	}
}

// place is what a user calls host, network:NAME or by a container's name.
func (e *examination) place(ctx context.Context, where string) (*place, error) {
	if where == VantageHost {
		return &place{vantage: Vantage{Name: VantageHost}}, nil
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
	vantage, err := fromContainer(ctx, e.engine.API, response.ID)
	if err != nil {
		return nil, err
	}
	if response, _, err = withNetwork(ctx, e.engine.API, response); err != nil {
		return nil, err
	}
	return &place{vantage: vantage, found: read(response, 0), helper: e.helperName()}, nil
}

// defaultBridge is the name of the network on which the engine puts containers
// that name none.
func (e *examination) defaultBridge(ctx context.Context) (string, error) {
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
func (e *examination) calledBy(ctx context.Context, bridge network.Inspect) string {
	const podman = "podman"
	if !slices.ContainsFunc(e.found.facts.Networks, func(n NetworkFacts) bool { return n.Name == podman }) {
		return bridge.Name
	}
	found, err := e.engine.API.NetworkInspect(ctx, podman, network.InspectOptions{})
	if err == nil && found.ID == bridge.ID {
		return podman
	}
	return bridge.Name
}

func (e *examination) onNetwork(name string, optional bool) *place {
	return &place{
		vantage:  Vantage{Name: VantageNetwork + name},
		optional: optional,
		network:  name,
		helper:   e.helperName(),
	}
}

func (e *examination) helperName() string {
	return "nestprobe-" + e.labels.run + "-" + token(helperBytes)
}

// ask probes the server from every place. It looks at what listens as soon as one
// of them cannot tell without, and where that costs next to nothing.
func (e *examination) ask(ctx context.Context, look func(context.Context, *place) error, candidates func(*place) []Candidate) error {
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
func (e *examination) sockets(ctx context.Context, p *place, start func() (listening.Listeners, error)) (listening.Listeners, error) {
	if prober, ok := p.vantage.Prober.(*remoteProber); ok && e.inside(p) {
		return prober.Sockets(ctx)
	}
	return start()
}

// inside says whether a place has the server's own network namespace. The host
// that is meant is not always the one whose network containers can share.
func (e *examination) inside(p *place) bool {
	engine := e.description.Endpoint.Engine
	switch {
	case e.server.Host && (engine.Desktop || engine.Rootless):
		return false
	case e.server.HostNetwork:
		return p.found.facts.HostNetwork
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
func (e *examination) open(ctx context.Context, p *place) error {
	if p.helper == "" {
		return nil
	}
	api := e.engine.API
	c := newAgentContainer(p.helper, e.image, "probe", e.labels)
	c.hostConfig.NetworkMode = container.NetworkMode("container:" + p.vantage.Container)
	if p.network != "" {
		c.hostConfig.NetworkMode = container.NetworkMode(p.network)
	}
	var err error
	if p.agent, err = startAgent(ctx, api, c); err != nil {
		return fmt.Errorf("asking from %s: %w", p.vantage.Name, err)
	}
	p.vantage.Prober = newRemoteProber(ctx, p.agent)
	if p.network != "" {
		response, err := api.ContainerInspect(ctx, p.agent.id)
		if err != nil {
			return fmt.Errorf("inspecting the helper on network %s: %w", p.network, err)
		}
		p.vantage.Container, p.found = p.agent.id, read(response, 0)
	}
	return e.networks.complete(ctx, &p.found)
}

// probe tries addresses from a place. The server is meant to run, so none gets
// longer than it takes to try it and once more.
func (e *examination) probe(ctx context.Context, p *place, candidates []Candidate) ([]report.Probe, error) {
	attempts := make([]Attempt, len(candidates))
	for i, candidate := range candidates {
		attempts[i] = Attempt{
			Candidate: candidate,
			Grace:     grace(e.found.facts, candidate),
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
	return rows(p.vantage.Name, 0, attempts, results), nil
}

// facts are what the diagnosis has to know of a place.
func (p *place) facts(server inspection) diagnosis.Vantage {
	v := diagnosis.Vantage{
		Name:      p.vantage.Name,
		Container: p.vantage.Container != "" && !p.found.facts.HostNetwork,
		NoNetwork: p.found.facts.NoNetwork,
		Networks:  p.found.facts.Networks,
		Optional:  p.optional,
		Routes:    routes(server.facts.Networks),
		Addresses: ownAddresses(),
	}
	return v
}

// conclude finds out why probes failed, and the address to use from each place.
func (e *examination) conclude() {
	facts := diagnosis.Facts{
		Engine: engineFacts(e.engine, e.description.Endpoint.Engine),
		Server: e.server,
	}
	for _, p := range e.places {
		e.report.Probes = append(e.report.Probes, p.probes...)
		facts.Vantages = append(facts.Vantages, p.facts(e.found))
	}
	if len(e.places) == 0 { // it does not run
		facts.Vantages = []diagnosis.Vantage{{Name: VantageHost}}
	}
	e.report.Findings = diagnosis.Explain(facts, e.report.Probes)
	for _, p := range e.places {
		if best, ok := best(0, p.probes, p.vantage.lasting(), ""); ok {
			e.report.Best = append(e.report.Best, best)
		}
	}
}
