package endpoint

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/docker/cli/cli/command"
	cliflags "github.com/docker/cli/cli/flags"
	"github.com/spf13/cobra"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
)

type environment = endpointtest.Environment

// resolveMark keeps a child from connecting.
const resolveMark = "NESTPROBE_ENDPOINT_RESOLVE"

func TestMain(m *testing.M) { endpointtest.Main(m, try) }

// try resolves with docker flags, and connects.
func try(ctx context.Context, args []string) endpointtest.Outcome {
	var result endpointtest.Outcome
	settings, err := settingsOf(args)
	if err != nil {
		return result.Failed(err)
	}
	result.Endpoint = endpointtest.Endpoint{
		Context: settings.Context, Host: settings.Host, Transport: string(settings.Transport), TLS: settings.TLS,
	}
	if os.Getenv(resolveMark) != "" {
		return result
	}
	opened, err := connection.Open(ctx, settings)
	if err != nil {
		return result.Failed(err)
	}
	defer opened.Close()
	engineOS, arch, err := opened.Platform(ctx)
	if err != nil {
		return result.Failed(err)
	}
	result.Platform = engineOS + "/" + arch
	described, err := opened.Describe(ctx)
	result.Described, result.Node = described.Endpoint, described.NodeAddress
	return result.Failed(err)
}

func settingsOf(args []string) (connection.Settings, error) {
	cli, flags, err := dockerCLI(args...)
	if err != nil {
		return connection.Settings{}, err
	}
	e, err := Resolve(cli, flags)
	if err != nil {
		return connection.Settings{}, err
	}
	return e.Settings, nil
}

// dockerCLI is docker's own CLI, its flags parsed as docker parses them.
func dockerCLI(args ...string) (*command.DockerCli, Flags, error) {
	options := cliflags.NewClientOptions()
	root := &cobra.Command{Use: "docker"}
	options.InstallFlags(root.Flags())
	if err := root.ParseFlags(args); err != nil {
		return nil, nil, err
	}
	flags := func(name string) (string, bool) {
		flag := root.Flags().Lookup(name)
		return flag.Value.String(), flag.Changed
	}
	options.SetDefaultOptions(root.Flags())
	cli, err := command.NewDockerCli(command.WithOutputStream(io.Discard), command.WithErrorStream(io.Discard))
	if err != nil {
		return nil, nil, err
	}
	return cli, flags, cli.Initialize(options)
}

// runDocker runs the real docker command.
func runDocker(t *testing.T, env environment, args ...string) (string, error) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves out what needs the docker command")
	}
	cmd := exec.CommandContext(t.Context(), "docker", args...)
	cmd.Env = env.List(t)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
