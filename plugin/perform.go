package plugin

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/opts"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render"
)

// session is what a command has once it is connected to the user's engine.
type session struct {
	config     *configfile.ConfigFile
	endpoint   *endpoint.Endpoint
	connection *connection.Connection
	engine     engine.Engine
	progress   *progress
}

func newSession(dockerCLI command.Cli, resolved *endpoint.Endpoint, opened *connection.Connection) session {
	config := dockerCLI.ConfigFile()
	e := newEngine(resolved, opened)
	e.RegistryAuth = func(image string) (string, error) { return command.RetrieveAuthTokenFromImage(config, image) }
	return session{config, resolved, opened, e, newProgress(dockerCLI.Err())}
}

// withProxies adds the proxies of the docker configuration to an environment, as
// docker run does for every container.
func (s session) withProxies(env []string) []string {
	proxies := s.config.ParseProxyConfig(s.endpoint.Host, opts.ConvertKVStringsToMapWithNil(env))
	all := make([]string, 0, len(proxies))
	for _, name := range slices.Sorted(maps.Keys(proxies)) {
		if value := proxies[name]; value != nil {
			all = append(all, name+"="+*value)
		} else {
			all = append(all, name)
		}
	}
	return all
}

// measurement is what tells the commands apart.
type measurement struct {
	command string
	docker  string // with the flags that choose the endpoint
	measure func(ctx context.Context, s session, spec experiment.Spec) (*report.Report, error)
	// remove is the command that removes what --keep left running; empty if that
	// is nothing.
	remove func(docker string, rep *report.Report, spec experiment.Spec) string
}

// perform measures and shows the Report, whatever became of it: a program that
// reads JSON gets the reason there.
func perform(ctx context.Context, dockerCLI command.Cli, spec experiment.Spec, renderer *render.Renderer, m measurement) error {
	rep, err := m.connected(ctx, dockerCLI, spec)
	if err != nil {
		rep.OK = false
		rep.Error = visible(err)
		if fault := new(report.Fault); errors.As(err, &fault) {
			rep.Findings = append(rep.Findings, diagnosis.Finding(fault))
		}
	}
	if writeErr := renderer.Write(dockerCLI.Out(), rep); writeErr != nil {
		err = errors.Join(err, &unwrittenError{writeErr})
	}
	if err != nil {
		return notMeasured(ctx, err)
	}
	if !rep.OK {
		return cli.StatusError{Status: unreachable(rep), StatusCode: exitUnreachable}
	}
	return nil
}

// connected measures on the user's engine, and tells how to remove what is kept. The
// Report is never nil.
func (m measurement) connected(ctx context.Context, dockerCLI command.Cli, spec experiment.Spec) (*report.Report, error) {
	rep := report.New(m.command)
	resolved, err := endpoint.Resolve(dockerCLI)
	if err != nil {
		return rep, err
	}
	rep.Endpoint = endpointOf(resolved)
	connection, err := resolved.Connect(ctx)
	if err != nil {
		return rep, err
	}
	defer connection.Close()
	s := newSession(dockerCLI, resolved, connection)
	if !spec.Builtin() {
		spec.Env = s.withProxies(spec.Env)
	}
	measured, err := m.measure(ctx, s, spec)
	if spec.Keep && onlyLeft(err) {
		tellKept(dockerCLI, m.remove(m.docker, measured, spec)) // first, because the report may find a full disk
	}
	if measured.Endpoint.Host == "" {
		measured.Endpoint = rep.Endpoint // the engine was lost before it said what it is
	}
	return measured, connection.Explain(ctx, err)
}

// endpointOf is what the Report says of an endpoint before its engine answers.
func endpointOf(resolved *endpoint.Endpoint) report.Endpoint {
	return report.Endpoint{
		Context:   resolved.Context,
		Host:      resolved.Host,
		Transport: string(resolved.Transport),
		TLS:       resolved.TLS,
	}
}

// unreachable is the sentence for what was measured and not reached.
func unreachable(rep *report.Report) string {
	noAccess := len(rep.Accesses) > 0
	for _, access := range rep.Accesses {
		noAccess = noAccess && !access.OK
	}
	switch {
	case noAccess:
		return "no client container was given the Docker API"
	case len(rep.Modes) > 0 && len(rep.Best) > 0:
		return "in some network modes no address reaches the server, and it is not known why"
	case len(rep.Modes) > 0:
		return "no address reaches the server in any of these network modes"
	case len(rep.Nodes) > 0:
		return "not every node reaches every other one"
	case len(rep.Servers) > 1:
		return "not every server is reached from " + place(rep)
	default:
		return "no address reaches the server from " + place(rep)
	}
}

// place names the vantage that matters for a reader: the host, if it was asked
// from there.
func place(rep *report.Report) string {
	vantage := experiment.VantageClient
	for i, p := range rep.Probes {
		if i == 0 || p.Vantage == experiment.VantageHost {
			vantage = p.Vantage
		}
	}
	container, ok := strings.CutPrefix(vantage, experiment.VantageContainer)
	switch {
	case vantage == experiment.VantageHost || rep.Command == "run":
		return "here"
	case ok:
		return "container " + container
	default:
		return "the client container"
	}
}
