package plugin

import (
	"context"
	"fmt"
	"os"

	"github.com/docker/cli/cli/command"
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
func (o *diagnoseOptions) checkContext(ctx context.Context, dockerCLI command.Cli, flags *pflag.FlagSet, shown *progress) (*report.Report, error) {
	rep := report.New(diagnoseName)
	result, err := checks.Run(ctx, o.checksInput(dockerCLI, dockerCLI.CurrentContext(), flags, shown))
	rep.Endpoint, rep.Self, rep.Checks = result.Endpoint, result.Self, result.Checks
	rep.Findings = append(rep.Findings, result.Findings...)
	return rep, err
}

// checkContexts checks all contexts in parallel, so that one without an answer does
// not delay the others.
func (o *diagnoseOptions) checkContexts(ctx context.Context, dockerCLI command.Cli, flags *pflag.FlagSet, shown *progress) (*report.Report, error) {
	rep := report.New(diagnoseName)
	contexts := endpoint.Contexts(dockerCLI)
	results := make([]checks.Result, len(contexts))
	group, ctx := errgroup.WithContext(ctx)
	for i, c := range contexts {
		group.Go(func() (err error) {
			input := o.checksInput(dockerCLI, c.Name, flags, shown)
			input.Context = c.Name
			if c.Fault != nil {
				input.Resolve = func() (connection.Settings, connection.Sources, error) {
					return connection.Settings{}, connection.Sources{}, c.Fault
				}
			}
			results[i], err = checks.Run(ctx, input)
			return err
		})
	}
	err := group.Wait()
	for i, result := range results {
		rep.Checks = append(rep.Checks, result.Checks...)
		for _, finding := range result.Findings {
			finding.Evidence = append([]string{netprobe.Visible(fmt.Sprintf("context %q", contexts[i].Name), maxMessage)}, finding.Evidence...)
			rep.Findings = append(rep.Findings, finding)
		}
		if contexts[i].Name == dockerCLI.CurrentContext() {
			rep.Endpoint, rep.Self = result.Endpoint, result.Self
		}
	}
	return rep, err
}

// checksInput returns the input of the checks of one context.
func (o *diagnoseOptions) checksInput(dockerCLI command.Cli, name string, flags *pflag.FlagSet, shown *progress) checks.Input {
	docker := dockerCommand(flags)
	if name != dockerCLI.CurrentContext() {
		docker = dockerWithContext(name)
	}
	return checks.Input{
		Docker: docker,
		Resolve: func() (connection.Settings, connection.Sources, error) {
			given := dockerFlags(flags)
			resolved, err := endpoint.ResolveContext(dockerCLI, name, given)
			if err != nil {
				return connection.Settings{}, connection.Sources{}, err
			}
			return resolved.Settings, resolved.Sources(dockerCLI, given), nil
		},
		Environment:      os.Getenv,
		ContainerProxies: func(host string) checks.ConfiguredProxies { return containerProxies(dockerCLI, host) },
		Agents:           agents.Files,
		Timeout:          o.timeout,
		OnWait:           shown.Note,
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
