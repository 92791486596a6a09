package plugin

import (
	"context"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// experimentCommand is what run and in-container do differently.
type experimentCommand struct {
	name    string
	measure func(ctx context.Context, s session, request experiment.Request) (*report.Report, error)
	// removeCommand is the command that removes what --keep left running; empty if
	// there is nothing. The command docker has the flags that choose the endpoint.
	removeCommand func(docker string, rep *report.Report, request experiment.Request) string
}

// runExperiment measures on the user's engine and shows the Report. With --keep it
// also prints how to remove what is left running.
func runExperiment(cmd *cobra.Command, dockerCLI command.Cli, options *runOptions, request experiment.Request, c experimentCommand) error {
	renderer, err := newRenderer(dockerCLI, options.format, options.quiet, false)
	if err != nil {
		return usageError(err)
	}
	rep, err := withSession(cmd.Context(), dockerCLI, c.name, nil, func(ctx context.Context, s session) (*report.Report, error) {
		measured, err := c.measure(ctx, s, request)
		if request.Keep && onlyCleanUpFailed(err) { // printed before the Report, which may find a full disk
			printRemoveCommand(dockerCLI, c.removeCommand(dockerCommand(cmd.Root().Flags()), measured, request))
		}
		return measured, err
	})
	addFinding(rep, err)
	return finishCommand(cmd, dockerCLI, renderer, rep, err, unreachable)
}
