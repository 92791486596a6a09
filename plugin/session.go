package plugin

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"time"

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
	"github.com/nestprobe/docker-nestprobe/plugin/reaper"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// session is a command's connection to the user's engine, with what it needs there.
type session struct {
	config     *configfile.ConfigFile
	endpoint   *endpoint.Endpoint
	connection *connection.Connection
	engine     engine.Engine
	reaper     *reaper.Reaper
	progress   *progress
	// onMeasured is called with a Report to which only the clean-up is still to be added.
	onMeasured func(*report.Report)

	unknown report.Endpoint // what is known of the endpoint without the engine
}

// measure is what a command does with a session. Its Report is never nil.
type measure func(ctx context.Context, s session) (*report.Report, error)

// withSession resolves the user's endpoint, connects to its engine, measures and
// disconnects. The Report is never nil. The flags are docker's own. The settings of the
// endpoint may be adjusted before it is opened; nil for no adjustment.
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
	opened.OnWait(s.progress.Note)
	err = s.engine.Locate(ctx, opened.API, resolved.Settings)
	if err != nil && ctx.Err() == nil && s.engine.Self.Foreign() { // it only adds detail
		s.progress.Note("this command runs in a container, and it is not known in which one: " + opened.Explain(ctx, err).Error())
	}
	s.unknown = rep.Endpoint
	s.reaper = newReaper(resolved.Context, flags)
	s.engine.Announce = s.reaper.Announce
	beforeExit(ctx, func() { s.reaper.Abandon(abandonLimit) })
	measured, err := measure(ctx, s)
	s.complete(ctx, measured)
	err = opened.Explain(ctx, err)
	s.endReaper(ctx, measured, err)
	return measured, err
}

// complete adds to a Report what only the session knows. It may be called again when more is
// known.
func (s session) complete(ctx context.Context, measured *report.Report) {
	measured.Self = s.engine.Self.Report()
	omitted := s.connection.Omitted
	measured.Findings = omitted.Adopt(measured.Findings)
	if finding, ok := omitted.Finding(); ok && ctx.Err() == nil {
		measured.Findings = diagnosis.Merge(measured.Findings, []report.Finding{finding})
	}
	if measured.Endpoint.Host == "" {
		measured.Endpoint = s.unknown // the engine was lost before it described itself
	}
}

// abandonLimit is how long a second interrupt waits for the reaper, which takes 0.4 s to remove
// a server and its network. Afterwards the reaper goes on.
const abandonLimit = time.Second

// endReaper ends the reaper of a command that has cleaned up. The reaper goes on after the
// command has ended if the clean-up failed; if the command was interrupted, since a busy engine
// may still make what was requested more than engine.CreateGrace before; and if the engine may
// be shutting down: then Docker knows no networks, so none can be removed.
func (s session) endReaper(ctx context.Context, measured *report.Report, err error) {
	ends := ctx.Err() != nil || errors.Is(err, experiment.ErrStopped) || slices.ContainsFunc(measured.Findings, func(f report.Finding) bool {
		return f.Cause == diagnosis.ServerExited
	})
	for _, part := range joinedErrors(err) {
		fault := new(report.Fault)
		lost := errors.As(part, &fault) && fault.Cause == connection.EngineUnreachable
		ends = ends || lost || errors.As(part, new(*engine.CleanUpError))
	}
	if ends {
		s.reaper.Abandon(0)
	}
	s.reaper.Release()
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
			Describe:   opened.Describe,
			Product:    opened.Product,
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
