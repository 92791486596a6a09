// Package target finds out why a running server answers or does not: a container, a
// service of Compose, or a port of the engine's host. It finds the container
// (find.go), chooses the places to probe from (places.go), and explains the results.
//
// The command diagnose TARGET calls it, and the package checks lists its [Facts]. It
// does not touch the container. It must not know of docker/cli, of flags, or of how a
// Report is shown.
package target

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/ranking"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

// Target is a running server to explain, and where to probe it from.
type Target struct {
	Container string           // name, id, or the name of a Compose service; empty for the engine's host
	Address   string           // instead of a container: an address as people type it, such as localhost, see IsAddress
	Port      uint16           // 0: the one that the container publishes or exposes; of the host for an address
	URL       *url.URL         // TARGET, if it was a URL; else nil
	From      []string         // places; empty for the defaults, see choosePlaces
	Timeout   time.Duration    // one attempt at one address
	Wait      time.Duration    // how long the server may take to answer, if that is more than Timeout; only for ExplainHere
	Request   netprobe.Target  // what is probed at each address; without Address, see TargetAt
	Options   netprobe.Options // of the probes that this process sends, but for the Timeout
}

// TargetAt returns what is probed at an address.
func (t Target) TargetAt(address string) netprobe.Target {
	target := t.Request
	target.Scheme, target.Address = cmp.Or(target.Scheme, netprobe.TCP), address
	return target
}

func (t Target) query() meaning.Query {
	return meaning.Query{Container: t.Container, Address: t.Address, Port: t.Port, From: t.From, Timeout: t.Timeout}
}

// isExact says whether the user has typed a URL and a container that is to request it: that
// container knows the name in it or does not.
func (t Target) isExact() bool {
	return t.URL != nil && t.Container != "" && slices.ContainsFunc(t.From, func(from string) bool {
		return from != probing.VantageHost && !strings.HasPrefix(from, probing.VantageNetwork)
	})
}

// Facts are what Explain has learned about the target itself.
type Facts struct {
	Server         facts.Server
	Meaning        string                     // what the user's words were taken for; empty if they are plain
	FromContainer  bool                       // the place host, which the user named, is the container of this command
	Container      *container.InspectResponse // with the network that it uses; nil for the engine's host, and if there is none
	NetworkOf      string                     // the container whose network it shares; empty if it has its own
	Replicas       []string                   // names of the other running containers of its Compose service
	ListenersError string                     // why it is not known what listens; empty if that is known, or was not needed

	// Only for the engine's host.
	EngineHost string          // of a tcp or ssh endpoint
	Addresses  []netip.Addr    // if the host is this machine
	Networks   []facts.Network // of the containers that probed it
}

// Explain probes a running server from several places, and finds out why it answers or
// does not. When it returns, its helpers in other network namespaces are removed. The
// Report is never nil.
func Explain(ctx context.Context, eng engine.Engine, target Target, progress engine.Progress) (*report.Report, Facts, error) {
	r := newRun(eng, target, progress)
	err := r.finish(ctx, r.explain(ctx))
	return r.report, r.facts(), err
}

func (r *run) explain(ctx context.Context) error {
	if r.target.Address != "" {
		if err := r.meant.ResolveAddress(ctx); err != nil {
			return err
		}
		r.target.Container, r.target.Port, r.known.Meaning = r.meant.Container, r.meant.Port, r.meant.Text
	}
	if r.target.Container == "" {
		return r.explainHost(ctx)
	}
	return r.explainContainer(ctx)
}

// run is the state of one Explain.
type run struct {
	engine   engine.Engine
	reader   engine.Reader     // of the engine
	meant    *meaning.Resolver // finds containers
	here     bool              // ExplainHere: nothing is started on the engine, whose API is nil
	target   Target
	typed    Target // as the user gave it
	progress engine.Progress
	report   *report.Report
	labels   engine.Labels
	scope    *engine.Scope
	oneByOne sync.Mutex // held while addresses are probed one by one
	networks *facts.NetworkCache
	began    time.Time

	prepareOnce func(context.Context) error
	description connection.Description
	image       string // of the agent

	known  Facts // but for those of the engine's host only, which facts adds
	found  facts.Container
	exits  <-chan engine.Exit // of a container that has been restarted; else nil
	places []*place

	namespace    string  // ID of the container whose network namespace the server is in
	witness      sockets // of the server, unless a place is there; nil if it could not be started
	witnessName  string  // of its helper; empty if it has none
	witnessAgent *engine.Agent
	// seesProcesses says that the witness is in the server's PID namespace too.
	seesProcesses bool
}

// perHelper is how long a run may take for each of its helpers, the time for probes in
// other ways included.
const perHelper = 30 * time.Second

func newRun(eng engine.Engine, target Target, progress engine.Progress) *run {
	began := time.Now()
	r := &run{
		engine:   eng,
		reader:   eng.API,
		target:   target,
		typed:    target,
		progress: progress,
		report:   newReport(target),
		labels:   engine.NewLabels(eng.NewRun(), began, perHelper+engine.DeadlineMargin, false),
		scope:    engine.NewScope(),
		began:    began,
	}
	r.meant = meaning.NewResolver(eng, r.reader, target.query())
	r.networks = facts.NewNetworkCache(r.reader, eng.Omitted)
	r.scope.Undo(r.removeHelpers)
	var once sync.Once
	var err error
	r.prepareOnce = func(ctx context.Context) error {
		once.Do(func() { err = r.prepare(ctx) })
		return err
	}
	return r
}

// prepare gets what every place needs: the engine's description, the agent's image on
// the engine, and the container's networks.
func (r *run) prepare(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		var err error
		r.description, err = r.engine.Describe(ctx)
		r.report.Endpoint = r.description.Endpoint
		return err
	})
	if !r.here {
		group.Go(func() error {
			var err error
			r.image, err = r.engine.AgentImage(ctx)
			return err
		})
	}
	group.Go(func() error { return r.networks.Complete(ctx, &r.found) })
	return group.Wait()
}

// summarize fills in why probes failed, and the best address from each place.
func (r *run) summarize() {
	input := diagnosis.Input{
		Engine: facts.NewEngine(r.engine.Host, r.engine.Loopback, r.description.Endpoint.Engine),
		Server: r.known.Server,
	}
	var probes []report.Probe
	for _, p := range r.places {
		probes = append(probes, p.probes...)
		input.Vantages = append(input.Vantages, p.facts(r.found))
	}
	if len(r.places) == 0 { // the container does not run
		input.Vantages = []facts.Vantage{{Name: probing.Here(r.engine.Self).Name}}
	}
	explained := diagnosis.Explain(input, probes)
	r.report.Probes = append(r.report.Probes, explained.Probes...)
	r.report.Findings = explained.Findings
	r.addFixes(explained.Findings)
	for _, p := range r.places {
		if best, ok := ranking.PickBest(0, r.preferred(p), p.vantage.KindRanking(r.engine.Host), r.target.Request.Path); ok && r.known.Server.Down == nil {
			r.report.Best = append(r.report.Best, best)
		}
	}
}

// finish removes the helpers and completes the Report.
func (r *run) finish(ctx context.Context, err error) error {
	cleaning := time.Now()
	err = errors.Join(err, r.scope.Close(ctx, err != nil))
	r.describe()
	r.report.OK = !slices.ContainsFunc(r.report.Findings, func(f report.Finding) bool { return f.Severity == report.SeverityError })
	r.report.Timings.CleanupMS = report.Milliseconds(time.Since(cleaning))
	r.report.Timings.TotalMS = report.Milliseconds(time.Since(r.began))
	return err
}

func (r *run) removeHelpers(ctx context.Context) error {
	var group errgroup.Group
	remove := func(name string, agent *engine.Agent) {
		if name == "" {
			return
		}
		group.Go(func() error {
			var lease *engine.Lease
			if agent != nil {
				lease = agent.Lease
			}
			return engine.RemoveContainer(ctx, r.engine.API, name, lease)
		})
	}
	for _, p := range r.places {
		remove(p.helper, p.agent)
	}
	remove(r.witnessName, r.witnessAgent)
	return group.Wait()
}

// facts returns what is known at the end. After an error that may be incomplete.
func (r *run) facts() Facts {
	found := r.known
	if !r.known.Server.Host {
		return found
	}
	found.EngineHost, found.Addresses = r.engine.Host, r.engine.HostAddresses
	for _, p := range r.places {
		found.Networks = append(found.Networks, p.found.Networks...)
	}
	return found
}
