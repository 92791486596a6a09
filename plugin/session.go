package plugin

import (
	"context"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/opts"
	"github.com/spf13/pflag"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage/agents"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/self"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// session is a command's connection to the user's engine, with what it needs there.
type session struct {
	config     *configfile.ConfigFile
	endpoint   *endpoint.Endpoint
	connection *connection.Connection
	engine     engine.Engine
	progress   *progress
}

// measure is what a command does with a session. Its Report is never nil.
type measure func(ctx context.Context, s session) (*report.Report, error)

// withSession resolves the user's endpoint, connects to its engine, measures and
// disconnects. The Report is never nil. The flags are docker's own. The settings of the endpoint may be adjusted
// before it is opened; nil for no adjustment.
func withSession(ctx context.Context, dockerCLI command.Cli, name string, flags *pflag.FlagSet, adjust func(*endpoint.Endpoint), measure measure) (*report.Report, error) {
	rep := report.New(name)
	resolved, err := endpoint.Resolve(dockerCLI, dockerFlags(flags))
	if err != nil {
		return rep, err
	}
	rep.Endpoint = report.Endpoint{
		Context:   resolved.Context,
		Host:      resolved.Host,
		Transport: string(resolved.Transport),
		TLS:       resolved.TLS,
	}
	if adjust != nil {
		adjust(resolved)
	}
	opened, err := resolved.Connect(ctx)
	if err != nil {
		return rep, err
	}
	defer opened.Close()
	s := newSession(dockerCLI, resolved, opened)
	s.engine.Self, err = self.Find(ctx, opened.API, self.At(resolved.Settings), opened.Omitted)
	if err != nil && ctx.Err() == nil && s.engine.Self.Foreign() { // it only adds detail
		s.progress.Note("this command runs in a container, and it is not known in which one: " + opened.Explain(ctx, err).Error())
	}
	if s.engine.Self.EndpointInContainer() {
		s.engine.Host = ""
	}
	s.engine.HostAddresses = hostAddresses(s.engine)
	measured, err := measure(ctx, s)
	measured.Self = s.engine.Self.Report()
	measured.Findings = opened.Omitted.Adopt(measured.Findings)
	if omitted, ok := opened.Omitted.Finding(); ok && ctx.Err() == nil {
		measured.Findings = diagnosis.Merge(measured.Findings, []report.Finding{omitted})
	}
	if measured.Endpoint.Host == "" {
		measured.Endpoint = rep.Endpoint // the engine was lost before it described itself
	}
	return measured, opened.Explain(ctx, err)
}

// dockerFlags are the flags of docker that the user gave.
func dockerFlags(flags *pflag.FlagSet) endpoint.Flags {
	return func(name string) (value string, given bool) {
		flag := flags.Lookup(name)
		if flag == nil || !flag.Changed {
			return "", false
		}
		return flag.Value.String(), true
	}
}

func newSession(dockerCLI command.Cli, resolved *endpoint.Endpoint, opened *connection.Connection) session {
	config := dockerCLI.ConfigFile()
	return session{
		config:     config,
		endpoint:   resolved,
		connection: opened,
		progress:   &progress{out: dockerCLI.Err()},
		engine: engine.Engine{
			API:        opened.API,
			Host:       resolved.EngineHost(),
			Loopback:   resolved.IsLoopback(),
			Describe:   opened.Describe,
			Omitted:    opened.Omitted,
			AgentImage: engine.OneByOne(func(ctx context.Context) (string, error) { return loadAgentImage(ctx, opened) }),
			AgentBinary: func(ctx context.Context) ([]byte, error) {
				os, arch, err := opened.Platform(ctx)
				if err != nil {
					return nil, err
				}
				return agents.Files.ReadFile(agentimage.FileName(os, arch))
			},
			RegistryAuth: func(image string) (string, error) { return command.RetrieveAuthTokenFromImage(config, image) },
		},
	}
}

// hostAddresses returns this machine's addresses on its default routes, if the engine is
// known to be here: a container has addresses of its own, and a loopback endpoint may be one
// end of a tunnel.
func hostAddresses(e engine.Engine) []netip.Addr {
	if e.Host != "" || e.Loopback || !e.Self.OnHost() {
		return nil
	}
	return facts.DefaultAddresses()
}

// loadAgentImage loads the agent's image on an engine that does not have it, and
// returns its reference.
func loadAgentImage(ctx context.Context, opened *connection.Connection) (string, error) {
	return agentimage.EnsureNear(ctx, opened.API, agents.Files, opened.Platform)
}

// mountedSocket returns the path that the endpoint's socket has on the engine's host, if
// this process is in a container into which it is mounted; else it is empty.
func (s session) mountedSocket() string {
	if s.engine.Self == nil || s.endpoint.Transport != connection.Unix {
		return ""
	}
	return s.engine.Self.OnEngine(s.endpoint.SocketOnEngine(false), filepath.EvalSymlinks)
}

// serverEnv returns the environment of the servers. The built-in server needs no proxies.
func (s session) serverEnv(request experiment.Request) []string {
	if request.Builtin() {
		return request.Env
	}
	return s.withProxies(request.Env)
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
