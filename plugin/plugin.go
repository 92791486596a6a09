// Package plugin holds the commands of `docker nestprobe`: flags in, Report
// out. What a command does is in the packages below it; this one turns flags
// into their arguments and their results into output and an exit status. Only
// cmd/docker-nestprobe calls it.
package plugin

import (
	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli-plugins/metadata"
	cliplugin "github.com/docker/cli/cli-plugins/plugin"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
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

// New returns the command `docker nestprobe`.
func New(dockerCLI command.Cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   pluginName,
		Short: "Find out which address reaches a container",
		Long: `Start a server in a container, try each address that might reach it, verify which
server answers, and explain why the other addresses fail.`,
		Args: cli.NoArgs, // else a mistyped subcommand would exit with 0
		RunE: command.ShowHelp(dockerCLI.Err()),
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			cmd.SetContext(cancelOnSignal(cmd.Context()))
			return cliplugin.PersistentPreRunE(cmd, args)
		},
	}
	cmd.AddCommand(newRunCommand(dockerCLI), newInContainerCommand(dockerCLI), newDiagnoseCommand(dockerCLI))
	return cmd
}

// StandaloneArgs lets the plugin be called without docker in front: it puts the
// plugin's name where the docker CLI would have put it. Calls by the docker CLI
// are not changed.
func StandaloneArgs(args []string) []string {
	if cliplugin.RunningStandalone() && len(args) > 0 {
		return append([]string{args[0], pluginName}, args[1:]...)
	}
	return args
}
