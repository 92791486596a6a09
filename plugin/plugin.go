// Package plugin holds the commands of `docker nestprobe`: flags in, Report
// out. What a command does is in the packages below it; this one turns flags
// into their arguments and their results into output and an exit status. Only
// cmd/docker-nestprobe calls it.
package plugin

import (
	"io"
	"log/slog"
	"slices"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli-plugins/metadata"
	cliplugin "github.com/docker/cli/cli-plugins/plugin"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/debug"
	"github.com/docker/cli/cli/flags"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// pluginName is the word after docker.
const pluginName = "nestprobe"

// Metadata describes the plugin to the docker CLI.
func Metadata(version string) metadata.Metadata {
	return metadata.Metadata{
		SchemaVersion:    "0.1.0",
		Vendor:           "nestprobe",
		Version:          version,
		ShortDescription: "Find out which address reaches a container",
		URL:              "https://github.com/nestprobe/docker-nestprobe",
	}
}

// New returns what makes the command `docker nestprobe` of a build of the plugin.
func New(build Build) func(command.Cli) *cobra.Command {
	return func(dockerCLI command.Cli) *cobra.Command {
		cmd := newRootCommand(dockerCLI)
		cmd.AddCommand(
			newRunCommand(dockerCLI),
			newInContainerCommand(dockerCLI),
			newDiagnoseCommand(dockerCLI),
			newVersionCommand(dockerCLI, build),
			newHookCommand(dockerCLI),
			newReapCommand(dockerCLI),
		)
		return cmd
	}
}

func newRootCommand(dockerCLI command.Cli) *cobra.Command {
	return &cobra.Command{
		Use:   pluginName,
		Short: "Find out which address reaches a container",
		Long: `Start a server in a container, try each address that might reach it, verify which
server answers, and explain why the other addresses fail.

To have docker suggest the next command after "docker run", add to ~/.docker/config.json:

  "features": {"hooks": "true"}, "plugins": {"nestprobe": {"hooks": "run,container run"}}`,
		Args: rejectArgs, // else a mistyped subcommand would exit with 0
		RunE: command.ShowHelp(dockerCLI.Err()),
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			cmd.SetContext(cancelOnSignal(cmd.Context()))
			err := cliplugin.PersistentPreRunE(cmd, args)
			logDebug(dockerCLI.Err())
			return err
		},
	}
}

// rejectArgs rejects arguments, such as an unknown command, with the message of docker's own
// commands and the status of wrong usage.
func rejectArgs(cmd *cobra.Command, args []string) error {
	if err := cli.NoArgs(cmd, args); err != nil {
		return cli.StatusError{Status: err.Error(), Cause: err, StatusCode: exitNotMeasured}
	}
	return nil
}

// logDebug prints what packages log for docker's flag --debug.
func logDebug(out io.Writer) {
	if debug.IsEnabled() {
		slog.SetDefault(slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	}
}

// StandaloneArgs lets the plugin be called without docker in front: it puts the
// plugin's name where the docker CLI would have put it, after docker's own flags. Calls by
// the docker CLI are not changed.
func StandaloneArgs(args []string) []string {
	if !cliplugin.RunningStandalone() || len(args) == 0 {
		return args
	}
	return slices.Insert(slices.Clone(args), 1+countDockerFlags(args[1:]), pluginName)
}

// countDockerFlags returns how many of the first arguments are docker's own flags and their
// values. It is 0 if there is another flag among them, which the command then rejects.
func countDockerFlags(args []string) int {
	docker := pflag.NewFlagSet("docker", pflag.ContinueOnError)
	docker.SetOutput(io.Discard)
	docker.SetInterspersed(false)
	flags.NewClientOptions().InstallFlags(docker)
	if err := docker.Parse(args); err != nil {
		return 0
	}
	return len(args) - docker.NArg()
}
