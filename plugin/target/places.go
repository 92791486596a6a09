package target

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/candidates"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/proxy"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// place is a network namespace to probe from.
type place struct {
	vantage     probing.Vantage
	found       facts.ClientContainer // the user's container, or the helper; zero on the host
	named       bool                  // what the user has typed must work there
	roots       facts.Roots           // what the named container trusts, if that matters
	unavailable bool                  // no helper can join its network
	exact       bool                  // no other address counts than the typed one
	typed       string                // the address that the user has typed, as host:port; empty if that is none there
	optional    bool                  // a default, which the user did not name
	beside      bool                  // a default that is no network of the server's
	network     string                // that the helper joins
	down        *report.Fault         // why its container reaches nothing
	helper      string                // name of the helper; empty if this process probes
	agent       *engine.Agent
	attempts    []probing.Attempt
	probes      []report.Probe // of the attempts
	answerers   []string       // who answered instead of the server, if that is known
	watched     facts.Watched
	asked       []facts.SecondAnswer
}

// choosePlaces adds the places that the user named. The default for a container is the
// host, each of the container's networks, and the default bridge. For the engine's host it
// is only the default bridge.
func (r *run) choosePlaces(ctx context.Context) error {
	if r.here {
		p, err := r.newHerePlace(ctx)
		r.addPlace(p)
		return err
	}
	for _, name := range r.target.From {
		p, err := r.findPlace(ctx, name)
		if err != nil {
			return err
		}
		p.named = true
		r.addPlace(p)
	}
	if len(r.target.From) > 0 {
		return nil
	}
	if typed := r.typed.Address != "" && !r.isHostAlias(); typed || !r.known.Server.Host {
		here, err := r.newHerePlace(ctx)
		if err != nil {
			return err
		}
		here.named, here.optional = typed, !typed
		here.beside = !typed && r.isDisposable(here)
		r.addPlace(here)
	}
	for _, n := range r.found.Networks {
		if !r.found.HostNetwork && !r.found.NoNetwork {
			p := r.newNetworkPlace(n.Name)
			p.optional = true
			r.addPlace(p)
		}
	}
	bridge, err := r.findDefaultBridge(ctx)
	if err != nil {
		return err
	}
	p := r.newNetworkPlace(bridge)
	p.beside = !r.known.Server.Host || len(r.places) > 0
	r.addPlace(p)
	return nil
}

// isDisposable says whether the place is a container that exists only for this command, as
// that of the plugin's image does, on a network that nobody has chosen. No program needs to
// reach the server from there; the server's own networks say whether it is reached.
func (r *run) isDisposable(p *place) bool {
	ownNetworks := len(r.found.Networks) > 0 && !r.found.HostNetwork && !r.found.NoNetwork
	if os.Getpid() != 1 || p.vantage.Client == nil || !ownNetworks {
		return false
	}
	host := p.found.Inspection.HostConfig
	return host != nil && (host.NetworkMode.IsDefault() || host.NetworkMode.IsBridge())
}

// addPlace adds a place, unless it is there already.
func (r *run) addPlace(p *place) {
	if !slices.ContainsFunc(r.places, func(other *place) bool { return other.vantage.Name == p.vantage.Name }) {
		r.places = append(r.places, p)
	}
}

// findPlace returns the place that the user calls host, network:NAME, or by the name of a
// container. The host is where this process is, which may be a container.
func (r *run) findPlace(ctx context.Context, name string) (*place, error) {
	if name == probing.VantageHost {
		p, err := r.newHerePlace(ctx)
		r.known.FromContainer = err == nil && p.vantage.InContainer()
		return p, err
	}
	if name, ok := strings.CutPrefix(name, probing.VantageNetwork); ok {
		_, err := r.reader.NetworkInspect(ctx, name, network.InspectOptions{})
		if errdefs.IsNotFound(err) {
			return nil, fmt.Errorf("there is no network %s to probe from: docker network ls lists the networks", name)
		}
		if err != nil && !r.engine.Omitted.Note(ctx, "GET /networks/{id}", err) {
			return nil, fmt.Errorf("inspecting network %s: %w", name, err)
		}
		return r.newNetworkPlace(name), nil
	}
	response, err := r.meant.Find(ctx, name)
	if err != nil {
		return nil, err
	}
	vantage, err := probing.ContainerVantage(ctx, r.reader, response.ID)
	if err != nil {
		return nil, err
	}
	client, err := facts.ReadClientContainer(ctx, r.reader, response)
	if err != nil {
		return nil, err
	}
	if settings := proxy.FromEnvironment(client.Getenv); !settings.None() {
		client.Proxies = settings
	}
	down, err := StaleNetworkFault(ctx, r.reader, response)
	return &place{vantage: vantage, found: client, helper: r.newHelperName(), down: down}, err
}

// findDefaultBridge returns the name of the network that containers join by default.
func (r *run) findDefaultBridge(ctx context.Context) (string, error) {
	for _, name := range []string{"bridge", "podman"} {
		found, err := r.reader.NetworkInspect(ctx, name, network.InspectOptions{})
		if err == nil {
			return r.bridgeNameFor(ctx, found), nil
		}
		if r.engine.Omitted.Note(ctx, "GET /networks/{id}", err) {
			return name, nil // every engine has it, under this name too
		}
		if !errdefs.IsNotFound(err) {
			return "", fmt.Errorf("inspecting network %s: %w", name, err)
		}
	}
	return "", &report.SettingError{
		Setting: report.SettingFrom,
		Err:     errors.New("the engine has no default bridge: choose the places to probe from"),
	}
}

// bridgeNameFor returns the name of the default bridge in the container's inspection.
// Podman's has two: bridge for API requests, and podman in inspections.
func (r *run) bridgeNameFor(ctx context.Context, bridge network.Inspect) string {
	const podman = "podman"
	if !slices.ContainsFunc(r.found.Networks, func(n facts.Network) bool { return n.Name == podman }) {
		return bridge.Name
	}
	found, err := r.reader.NetworkInspect(ctx, podman, network.InspectOptions{})
	if err == nil && found.ID == bridge.ID {
		return podman
	}
	return bridge.Name
}

// newHerePlace returns the place of this process, which needs no helper.
func (r *run) newHerePlace(ctx context.Context) (*place, error) {
	p := &place{vantage: probing.Here(r.engine.Self)}
	if p.vantage.Client == nil {
		if settings := proxy.FromEnvironment(os.Getenv); r.typed.Address != "" && !settings.None() {
			p.found.Proxies = settings
		}
		return p, nil
	}
	p.found = *p.vantage.Client
	var err error
	p.down, err = StaleNetworkFault(ctx, r.reader, p.found.Inspection)
	return p, err
}

func (r *run) newNetworkPlace(name string) *place {
	return &place{
		vantage: probing.Vantage{Name: probing.VantageNetwork + name},
		network: name,
		helper:  r.newHelperName(),
	}
}

func (r *run) newHelperName() string {
	return "nestprobe-" + r.labels.Run + "-" + engine.NewToken(engine.HelperBytes)
}

// probeFromPlaces chooses the places and probes the server from them in parallel. Then
// the witness says which connections arrive at the server.
func (r *run) probeFromPlaces(ctx context.Context, toTry func(*place) []candidates.Candidate) error {
	if err := r.choosePlaces(ctx); err != nil {
		return err
	}
	group, working := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := r.prepareOnce(working); err != nil {
			return err
		}
		return r.startWitness(working, ctx)
	})
	for _, p := range r.places {
		group.Go(func() (err error) {
			if err = r.prepareOnce(working); err != nil {
				return err
			}
			if err = r.startHelper(working, ctx, p); err != nil || p.unavailable {
				return err
			}
			p.typed = r.typedAt(p)
			p.exact = p.typed != "" && r.typed.isExact()
			return r.probe(working, p, r.withTyped(p, toTry(p)))
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.places = slices.DeleteFunc(r.places, func(p *place) bool { return p.unavailable })
	if err := r.watch(ctx); err != nil {
		return err
	}
	if r.here && r.known.ListenersError != "" {
		r.trustSilent()
	}
	if err := r.findAnswerers(ctx); err != nil {
		return err
	}
	return r.fromEachInTime(ctx, r.askAgain)
}

// fromEach does something for each place, in parallel.
func (r *run) fromEach(ctx context.Context, do func(context.Context, *place) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range r.places {
		group.Go(func() error { return do(ctx, p) })
	}
	return group.Wait()
}

// startHelper starts the helper of a place and inspects its networks. The helper lives
// until watching ends.
func (r *run) startHelper(ctx, watching context.Context, p *place) error {
	if p.helper == "" {
		return r.networks.Complete(ctx, &p.found.Container)
	}
	c := engine.NewAgentContainer(p.helper, r.image, "probe", r.labels)
	c.HostConfig.NetworkMode = r.engine.NetworkOf(p.vantage.Container, p.found.HostNetwork)
	if p.network != "" {
		c.HostConfig.NetworkMode = container.NetworkMode(p.network)
	}
	var err error
	if p.agent, err = r.engine.StartAgent(ctx, watching, c); err != nil {
		if p.optional && ctx.Err() == nil && r.isOverlay(p.network) {
			p.unavailable = true // a Swarm's own network, or another one that is not attachable
			r.progress.Note(fmt.Sprintf("nothing is probed from network %s: %s", p.network, err))
			return nil
		}
		return fmt.Errorf("probing from %s: %w", p.vantage.Name, err)
	}
	p.vantage.Prober = engine.NewRemoteProber(watching, p.agent)
	if p.network != "" {
		response, err := r.reader.ContainerInspect(ctx, p.agent.ID)
		if err != nil {
			return fmt.Errorf("inspecting the helper on network %s: %w", p.network, err)
		}
		p.vantage.Container, p.found.Container = p.agent.ID, facts.ReadContainer(response, 0)
	}
	return r.networks.Complete(ctx, &p.found.Container)
}

// isOverlay says whether a network of the container spans the nodes of a Swarm.
func (r *run) isOverlay(name string) bool {
	return slices.ContainsFunc(r.found.Networks, func(n facts.Network) bool { return n.Name == name && n.Driver == "overlay" })
}

// probe probes addresses from a place. The server should already run, so each address is
// tried for the time of one attempt, and then once more, unless it may take longer.
func (r *run) probe(ctx context.Context, p *place, toTry []candidates.Candidate) error {
	p.attempts = make([]probing.Attempt, len(toTry))
	for i, candidate := range toTry {
		p.attempts[i] = probing.Attempt{
			Candidate: candidate,
			Grace:     probing.Grace(r.found.Addresses, candidate),
			Target:    r.target.TargetAt(candidate.Address),
		}
	}
	r.readRoots(ctx, p)
	waiting, stop := r.waiting(ctx)
	defer stop()
	results, err := p.vantage.Race(waiting, p.attempts, r.terms())
	if err != nil {
		return err
	}
	p.probes = probing.Rows(p.vantage.Name, 0, p.attempts, results)
	return context.Cause(ctx)
}

// readRoots reads which authorities are trusted at a place, if a helper probes from it over
// TLS: it has none of its own.
func (r *run) readRoots(ctx context.Context, p *place) {
	if p.helper == "" || r.target.Request.Scheme != netprobe.HTTPS {
		return
	}
	if p.network == "" {
		var err error
		if p.roots, err = facts.ContainerRoots(ctx, r.reader, p.found.Inspection); err == nil {
			p.vantage.Roots = p.roots.PEM
			return
		}
		r.progress.Note(err.Error() + "; what this machine trusts is used instead")
	}
	p.vantage.Roots = facts.MachineRoots().PEM
}

// isInside says whether a place is the server's network namespace. If the engine runs in
// a VM or is rootless, containers cannot share the network of the host.
func (r *run) isInside(p *place) bool {
	e := r.description.Endpoint.Engine
	switch {
	case r.known.Server.Host && (e.Desktop || e.Rootless):
		return false
	case r.known.Server.HostNetwork:
		return p.found.HostNetwork
	default:
		return p.network == "" && p.found.Namespace != "" && p.found.Namespace == r.namespace
	}
}

// facts returns what the diagnosis needs to know about a place.
func (p *place) facts(server facts.Container) facts.Vantage {
	v := p.found.Vantage(p.vantage.Name)
	v.Container = p.vantage.Container != "" && !p.found.HostNetwork
	v.Foreign = p.vantage.Foreign
	v.Down = p.down
	v.Optional, v.Beside, v.Typed, v.Exact = p.optional, p.beside, p.typed, p.exact
	v.Asked, v.Roots = p.asked, p.roots
	v.Routes, v.Addresses = facts.Routes(server.Networks), facts.OwnAddresses()
	v.Watched, v.Answerers = p.watched, p.answerers
	return v
}
