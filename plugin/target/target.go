package target

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Target is a running server to be explained, and where to ask from.
type Target struct {
	Container string        // name, id, or the name of a service of Compose's; empty for the engine's host
	Port      uint16        // 0: the one that the container publishes or exposes
	From      []string      // places; none for those that choosePlaces and chooseHostPlaces say
	Timeout   time.Duration // one attempt at one address
}

// Examined is what ExplainTarget has learnt of the target itself.
type Examined struct {
	Server    facts.Server
	Container *container.InspectResponse // with the network that it has; nil for the engine's host, and if there is none
	NetworkOf string                     // the container whose network it shares; empty if it has its own
	Others    []string                   // names of the other containers of its service of Compose's
	Unlooked  string                     // why it is not known what listens; empty if it is, or nobody had to look

	// Of the engine's host, if that is the target.
	EngineHost string          // of a tcp or ssh endpoint
	Addresses  []netip.Addr    // if it is this machine
	Networks   []facts.Network // of the containers that asked for it
}

// ExplainTarget asks a running server from several places, and finds out why it
// answers or does not. Helpers that ask from other network namespaces are gone
// when it returns; the container is not touched. The Report is never nil.
func ExplainTarget(ctx context.Context, eng engine.Engine, target Target, progress engine.Progress) (*report.Report, Examined, error) {
	ctx = engine.WithBudget(ctx)
	e := newTargetDiagnosis(eng, target, progress)
	examine := e.ofContainer
	if target.Container == "" {
		examine = e.ofHost
	}
	rep, err := e.finish(ctx, examine(ctx))
	return rep, e.examined(), err
}

// examined is what is known at the end, which is not all after an error.
func (e *targetDiagnosis) examined() Examined {
	found := Examined{Container: e.container, NetworkOf: e.networkOf, Others: e.others, Server: e.server, Unlooked: e.unlooked}
	if !e.server.Host {
		return found
	}
	found.EngineHost, found.Addresses = e.engine.Host, e.hostAddresses()
	for _, p := range e.places {
		found.Networks = append(found.Networks, p.found.Addresses.Networks...)
	}
	return found
}

// ofContainer examines a container.
func (e *targetDiagnosis) ofContainer(ctx context.Context) error {
	response, err := e.find(ctx, e.target.Container)
	if err != nil {
		return err
	}
	if response, e.networkOf, err = facts.WithNetworkOwner(ctx, e.engine.API, response); err != nil {
		return err
	}
	port, err := targetPort(response, e.target)
	if err != nil {
		return err
	}
	e.setServer(response, port)
	if e.others, err = e.replicas(ctx, response); err != nil {
		return err
	}
	if e.server.Down = e.down(ctx, response); e.server.Down != nil {
		err = e.prepare(ctx)
	} else if err = e.choosePlaces(ctx); err == nil {
		err = e.ask(ctx, func(ctx context.Context, p *place) error { return e.look(ctx, p, response) }, e.candidates)
	}
	if err != nil {
		return err
	}
	e.conclude()
	return nil
}

// targetPort is the port that a user means: the one given, else the only one that
// is published, else the only one that is exposed.
func targetPort(response container.InspectResponse, target Target) (uint16, error) {
	if target.Port != 0 {
		return target.Port, nil
	}
	var published, exposed []uint16
	if response.HostConfig != nil {
		for port, bindings := range response.HostConfig.PortBindings {
			if len(bindings) > 0 { // Podman has those that are exposed alone there too
				published = appendTCP(published, string(port))
			}
		}
	}
	if response.Config != nil {
		for port := range response.Config.ExposedPorts {
			exposed = appendTCP(exposed, string(port))
		}
	}
	for _, ports := range [][]uint16{published, exposed} {
		if len(ports) == 1 {
			return ports[0], nil
		}
	}
	slices.Sort(exposed)
	name := facts.ContainerName(response)
	if len(exposed) == 0 {
		return 0, fmt.Errorf("container %s exposes no TCP port: say which with %s:PORT", name, name)
	}
	return 0, fmt.Errorf("container %s has the TCP ports %v: say which with %s:PORT", name, exposed, name)
}

func appendTCP(ports []uint16, port string) []uint16 {
	number, protocol, _ := strings.Cut(port, "/")
	parsed, err := strconv.ParseUint(number, 10, 16)
	if err != nil || protocol != "" && protocol != "tcp" || slices.Contains(ports, uint16(parsed)) {
		return ports
	}
	return append(ports, uint16(parsed))
}

// setServer takes down what the engine says of the container.
func (e *targetDiagnosis) setServer(response container.InspectResponse, port uint16) {
	e.container = &response
	e.found = facts.ReadContainer(response, port)
	e.name = facts.ContainerName(response)
	e.found.Service = service(response)
	server := report.Server{
		ID:        response.ID,
		Name:      e.name,
		Port:      port,
		Networks:  e.found.ReportNetworks,
		Published: e.found.Published,
	}
	if response.Config != nil {
		server.Image = response.Config.Image
	}
	e.report.Servers = []report.Server{server}
	e.server = facts.NewServer(e.name, port, e.found)
}

// down says why a container that does not run, or is paused, answers nobody.
func (e *targetDiagnosis) down(ctx context.Context, response container.InspectResponse) *report.Fault {
	state := response.State
	switch {
	case state == nil || state.Running && !state.Paused:
		return nil
	case state.Paused:
		return &report.Fault{
			Cause:    diagnosis.ServerNotReady,
			Evidence: []string{fmt.Sprintf("container %s is paused, so nothing in it runs", e.name)},
			Hint:     "let it go on",
			Commands: []string{"docker unpause " + e.name},
		}
	case state.Status == container.StateCreated:
		return &report.Fault{
			Cause:    diagnosis.ServerNotReady,
			Evidence: []string{fmt.Sprintf("container %s has been created and never started", e.name)},
			Hint:     "start it",
			Commands: []string{"docker start " + e.name},
		}
	}
	ended := engine.Exit{Code: int64(state.ExitCode), OOMKilled: state.OOMKilled}
	ended.Lines = engine.LastLog(ctx, e.engine.API, response.ID, engine.HasTerminal(response))
	fault := ended.Fault(e.name)
	if fault.Cause == diagnosis.ServerExited {
		fault.Commands = []string{"docker logs " + e.name}
	}
	return fault
}

// look lists the sockets in the container's network namespace, and where none
// listens on the port, what the server has printed last. Where the sockets cannot
// be had, nothing is known of them.
func (e *targetDiagnosis) look(ctx context.Context, p *place, response container.InspectResponse) error {
	listeners, err := e.sockets(ctx, p, func() (listening.Listeners, error) {
		return engine.Sockets(ctx, e.engine.API, e.image, response.ID, e.labels)
	})
	if err == nil && len(listeners.On(e.server.Port)) == 0 {
		e.server.Log = engine.LogEvidence(engine.LastLog(ctx, e.engine.API, response.ID, engine.HasTerminal(response)))
	}
	return e.listen(ctx, listeners, err)
}

// listen takes down what listens, or notes that it is not known.
func (e *targetDiagnosis) listen(ctx context.Context, listeners listening.Listeners, err error) error {
	switch {
	case errors.As(err, new(*engine.CleanUpError)), ctx.Err() != nil:
		return err
	case err != nil:
		e.unlooked = netprobe.Visible(err.Error(), report.MaxLine)
		e.progress.Note("what listens is not known: " + e.unlooked)
	default:
		e.server.Listeners = &listeners
	}
	return nil
}

// candidates are the addresses to try from a place.
func (e *targetDiagnosis) candidates(p *place) []experiment.Candidate {
	facts := e.found.Addresses
	facts.EngineHost = e.engine.Host
	facts.NodeAddress = e.description.NodeAddress
	facts.Desktop = e.description.Endpoint.Engine.Desktop
	facts.Client = p.found.Addresses.Networks
	facts.Names = e.names()
	return p.vantage.Candidates(facts)
}

// names are what other containers may call the container, what lasts longest
// first: Compose numbers the containers of a service and makes them anew, and the
// service's name stays. Where that is others' name too, it is no way to tell whether
// this one answers.
func (e *targetDiagnosis) names() []string {
	names := []string{cmp.Or(e.networkOf, e.name)}
	for _, alias := range e.found.Aliases {
		switch {
		case alias == e.found.Service && len(e.others) > 0:
		case alias == e.found.Service:
			names = append([]string{alias}, names...)
		case !strings.HasPrefix(e.report.Servers[0].ID, alias): // the short id, which engines add
			names = append(names, alias)
		}
	}
	return names
}
