package plugin

import (
	"context"
	"os/signal"
	"slices"
	"syscall"

	cliplugin "github.com/docker/cli/cli-plugins/plugin"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/reaper"
)

// reapName is the name of the hidden command that the second process of the plugin runs.
const reapName = "reap"

// newReapCommand returns the command that waits for the end of another command of the plugin,
// and removes what that has left.
func newReapCommand(dockerCLI command.Cli) *cobra.Command {
	return &cobra.Command{
		Use:    reapName,
		Short:  "Remove what another command leaves when it is killed",
		Hidden: true,
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			// The other command cleans up when it gets a signal. This process ends with it.
			signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
			return cliplugin.PersistentPreRunE(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reaper.Reap(cmd.Context(), dockerCLI.In(), dockerCLI.Out(), func(ctx context.Context) (engine.Engine, func(), error) {
				resolved, err := endpoint.Resolve(dockerCLI, dockerFlags(cmd.Root().Flags()))
				if err != nil {
					return engine.Engine{}, nil, err
				}
				opened, err := resolved.Connect(ctx)
				if err != nil {
					return engine.Engine{}, nil, err
				}
				return newSession(dockerCLI, resolved, opened).engine, opened.Close, nil
			})
		},
	}
}

// newReaper returns the reaper of a command. Its process uses the endpoint that the command
// uses, even if the user selects another context meanwhile.
func newReaper(context string, flags *pflag.FlagSet) *reaper.Reaper {
	return reaper.New(slices.Concat(endpointArgs(context, flags), []string{pluginName, reapName})...)
}

// endpointArgs are docker's flags that select the endpoint that flags and the context select.
func endpointArgs(context string, flags *pflag.FlagSet) []string {
	var args []string
	for _, name := range endpointFlags {
		if flag := flags.Lookup(name); flag != nil && flag.Changed {
			args = append(args, "--"+name+"="+flag.Value.String())
		}
	}
	if flags.Changed("host") || flags.Changed("context") {
		return args
	}
	return append(args, "--context="+context)
}
