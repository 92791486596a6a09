package plugin

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/context/store"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/checks"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage/agents"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// checkContext checks the current context and its engine.
func (o *diagnoseOptions) checkContext(ctx context.Context, dockerCLI command.Cli, flags *pflag.FlagSet) (*report.Report, error) {
	rep := report.New(diagnoseName)
	result, err := checks.Run(ctx, o.checksInput(dockerCLI, dockerCLI.CurrentContext(), flags))
	rep.Endpoint, rep.Self, rep.Checks = result.Endpoint, result.Self, result.Checks
	rep.Findings = append(rep.Findings, result.Findings...)
	return rep, err
}

// checkContexts checks all contexts in parallel, so that one without an answer does
// not delay the others.
func (o *diagnoseOptions) checkContexts(ctx context.Context, dockerCLI command.Cli, flags *pflag.FlagSet) (*report.Report, error) {
	rep := report.New(diagnoseName)
	names, err := store.Names(dockerCLI.ContextStore())
	if err != nil {
		return rep, fmt.Errorf("listing the contexts: %w; see `docker context ls", err)
	}
	slices.Sort(names)
	results := make([]checks.Result, len(names))
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range names {
		group.Go(func() (err error) {
			input := o.checksInput(dockerCLI, name, flags)
			input.Context = name
			results[i], err = checks.Run(ctx, input)
			return err
		})
	}
	err = group.Wait()
	for i, result := range results {
		rep.Checks = append(rep.Checks, result.Checks...)
		for _, finding := range result.Findings {
			finding.Evidence = append([]string{netprobe.Visible(fmt.Sprintf("context %q", names[i]), maxMessage)}, finding.Evidence...)
			rep.Findings = append(rep.Findings, finding)
		}
		if names[i] == dockerCLI.CurrentContext() {
			rep.Endpoint, rep.Self = result.Endpoint, result.Self
		}
	}
	return rep, err
}

// checksInput returns the input of the checks of one context.
func (o *diagnoseOptions) checksInput(dockerCLI command.Cli, name string, flags *pflag.FlagSet) checks.Input {
	docker := dockerCommand(flags)
	if name != dockerCLI.CurrentContext() {
		docker = "docker --context " + shellWord(name)
	}
	return checks.Input{
		Docker: docker,
		Resolve: func() (connection.Settings, connection.Sources, error) {
			resolved, err := endpoint.ResolveContext(dockerCLI, name)
			if err != nil {
				return connection.Settings{}, connection.Sources{}, err
			}
			return resolved.Settings, resolved.Sources(dockerCLI, flags.Changed), nil
		},
		Environment:      os.Getenv,
		ContainerProxies: func(host string) checks.ConfiguredProxies { return containerProxies(dockerCLI, host) },
		Agents:           agents.Files,
		Timeout:          o.timeout,
	}
}

// containerProxies returns the proxy settings that docker adds to the environment of
// new containers (docker/cli, ParseProxyConfig).
func containerProxies(dockerCLI command.Cli, host string) checks.ConfiguredProxies {
	file := dockerCLI.ConfigFile()
	key := fmt.Sprintf("proxies[%q]", host)
	proxies, known := file.Proxies[host]
	if !known {
		key, proxies = "proxies.default", file.Proxies["default"]
	}
	return checks.ConfiguredProxies{
		Key:   key,
		File:  file.Filename,
		HTTP:  proxies.HTTPProxy,
		HTTPS: proxies.HTTPSProxy,
		All:   proxies.AllProxy,
		No:    proxies.NoProxy,
	}
}
