package experiment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Target is a running server to be explained, and where to ask from.
type Target struct {
	Container string        // name, id, or the name of a service of Compose's; empty for the engine's host
	Port      uint16        // 0: the one that the container publishes or exposes
	From      []string      // places; none for those that choosePlaces and chooseHostPlaces say
	Timeout   time.Duration // one attempt at one address
}

// ExplainTarget asks a running server from several places, and finds out why it
// answers or does not. Helpers that ask from other network namespaces are gone
// when it returns; the container is not touched. The Report is never nil.
func ExplainTarget(ctx context.Context, engine Engine, target Target, progress Progress) (*report.Report, error) {
	e := newExamination(engine, target, progress)
	if target.Container == "" {
		return e.finish(ctx, e.ofHost(ctx))
	}
	return e.finish(ctx, e.ofContainer(ctx))
}

// ofContainer examines a container.
func (e *examination) ofContainer(ctx context.Context) error {
	response, err := e.find(ctx, e.target.Container)
	if err != nil {
		return err
	}
	port, err := targetPort(response, e.target)
	if err != nil {
		return err
	}
	e.setServer(response, port)
	if e.server.Down = e.down(ctx, response); e.server.Down != nil {
		err = e.prepare(ctx)
	} else if err = e.choosePlaces(ctx); err == nil {
		err = e.ask(ctx, func(ctx context.Context) error { return e.look(ctx, response) }, e.candidates)
	}
	if err != nil {
		return err
	}
	e.conclude()
	return nil
}

// maxName bounds a name that nobody has, in a message: it is longer than a name
// that anybody gives.
const maxName = 255

// find inspects the container that a user means.
func (e *examination) find(ctx context.Context, name string) (container.InspectResponse, error) {
	response, err := e.inspect(ctx, name)
	if !errdefs.IsNotFound(err) {
		return response, err
	}
	services, err := e.engine.API.ContainerList(ctx, container.ListOptions{
		Filters: filters.NewArgs(filters.Arg("label", "com.docker.compose.service="+name)),
	})
	if err != nil {
		return response, fmt.Errorf("looking for the service %s: %w", name, err)
	}
	switch len(services) {
	case 0:
		return response, fmt.Errorf("there is no container or service %s: docker ps -a lists the containers", netprobe.Visible(name, maxName))
	case 1:
		return e.inspect(ctx, services[0].ID)
	default:
		names := make([]string, len(services))
		for i, s := range services {
			names[i] = strings.TrimPrefix(strings.Join(s.Names, ","), "/")
		}
		return response, fmt.Errorf("several containers are of the service %s: choose one of %s", name, strings.Join(names, ", "))
	}
}

// inspect makes sure that there is something in the engine's answer.
func (e *examination) inspect(ctx context.Context, name string) (container.InspectResponse, error) {
	response, err := e.engine.API.ContainerInspect(ctx, name)
	if err == nil && (response.ContainerJSONBase == nil || response.ID == "") {
		err = errors.New("the engine's answer names no container")
	}
	return response, wrap(err, "inspecting container "+name)
}

func wrap(err error, doing string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
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
	name := strings.TrimPrefix(response.Name, "/")
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
func (e *examination) setServer(response container.InspectResponse, port uint16) {
	e.found = read(response, port)
	e.name = strings.TrimPrefix(response.Name, "/")
	server := report.Server{
		ID:        response.ID,
		Name:      e.name,
		Port:      port,
		Networks:  e.found.networks,
		Published: e.found.published,
	}
	if response.Config != nil {
		server.Image = response.Config.Image
	}
	e.report.Servers = []report.Server{server}
	e.server = serverFacts(e.name, port, e.found)
}

// down says why a container that does not run, or is paused, answers nobody.
func (e *examination) down(ctx context.Context, response container.InspectResponse) *diagnosis.Fault {
	state := response.State
	switch {
	case state == nil || state.Running && !state.Paused:
		return nil
	case state.Paused:
		return &diagnosis.Fault{
			Cause:    diagnosis.ServerNotReady,
			Evidence: []string{fmt.Sprintf("container %s is paused, so nothing in it runs", e.name)},
			Hint:     "let it go on",
			Commands: []string{"docker unpause " + e.name},
		}
	case state.Status == container.StateCreated:
		return &diagnosis.Fault{
			Cause:    diagnosis.ServerNotReady,
			Evidence: []string{fmt.Sprintf("container %s has been created and never started", e.name)},
			Hint:     "start it",
			Commands: []string{"docker start " + e.name},
		}
	}
	ended := exit{code: int64(state.ExitCode), oomKilled: state.OOMKilled}
	ended.lines = lastLog(ctx, e.engine.API, response.ID, hasTerminal(response))
	fault := ended.fault(e.name)
	if fault.Cause == diagnosis.ServerExited {
		fault.Commands = []string{"docker logs " + e.name}
	}
	return fault
}

// look lists the sockets in the container's network namespace, and where none
// listens on the port, what the server has printed last. Where the sockets cannot
// be had, nothing is known of them.
func (e *examination) look(ctx context.Context, response container.InspectResponse) error {
	listeners, err := Sockets(ctx, e.engine.API, e.image, response.ID, e.labels)
	if err == nil && len(listeners.On(e.server.Port)) == 0 {
		e.server.Log = logEvidence(lastLog(ctx, e.engine.API, response.ID, hasTerminal(response)))
	}
	return e.listen(ctx, listeners, err)
}

// listen takes down what listens, or notes that it is not known.
func (e *examination) listen(ctx context.Context, listeners listening.Listeners, err error) error {
	switch {
	case errors.As(err, new(*CleanUpError)), ctx.Err() != nil:
		return err
	case err != nil:
		e.progress.Note("what listens is not known: " + netprobe.Visible(err.Error(), maxDetail))
	default:
		e.server.Listeners = &listeners
	}
	return nil
}

// candidates are the addresses to try from a place.
func (e *examination) candidates(p *place) []Candidate {
	facts := e.found.facts
	facts.EngineHost = e.engine.Host
	facts.NodeAddress = e.description.NodeAddress
	facts.Desktop = e.description.Endpoint.Engine.Desktop
	facts.Client = p.found.facts.Networks
	facts.Names = []string{e.name}
	for _, alias := range e.found.aliases {
		if !strings.HasPrefix(e.report.Servers[0].ID, alias) { // the short id, which engines add
			facts.Names = append(facts.Names, alias)
		}
	}
	return p.vantage.candidates(facts)
}
