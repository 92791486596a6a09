package plugin

import (
	"context"
	"fmt"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
	"github.com/nestprobe/docker-nestprobe/plugin/target"
)

// runName is the name of the command, on the command line and in its Report.
const runName = "run"

func newRunCommand(dockerCLI command.Cli) *cobra.Command {
	options := newRunOptions()
	cmd := &cobra.Command{
		Use:   runName + " [OPTIONS] [IMAGE [COMMAND] [ARG...]]",
		Short: "Start a server and find which address reaches it from this machine",
		Long: `Start a server in a container and try, in parallel, each address at which this
machine might reach it. Print which addresses work, and what happened at the
others. Without IMAGE the server is a built-in one, and nothing is pulled.
Everything that was started is removed again. In a container, it measures from
that container.

` + modesHelp("this machine") + `

Exit status: 0 if an address works, 1 if none does, 125 if it could not be
measured, 130 if interrupted.`,
		Example: `  docker nestprobe run
  docker nestprobe run --format json
  docker nestprobe run -p 8080:80 my/image
  docker nestprobe run --networks all --parent eth0
  docker nestprobe run --nodes
  curl "$(docker nestprobe run -q --keep)/foo"`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := options.request(cmd.Flags(), args)
			if err != nil {
				return usageError(err)
			}
			measure := runOnHost
			if options.nodes {
				measure = runOnNodes(dockerCLI)
			}
			return runExperiment(cmd, dockerCLI, options, request, experimentCommand{runName, measure, removeServersCommand})
		},
	}
	options.install(cmd.Flags())
	cmd.Flags().BoolVar(&options.nodes, nodesFlag, false, "Start a server on each node of the Swarm, and probe each of them from all nodes")
	registerCompletions(cmd, dockerCLI)
	groupFlags(cmd)
	return cmd
}

// runOnHost measures from where this process is: this machine, or its container.
func runOnHost(ctx context.Context, s session, request experiment.Request) (*report.Report, error) {
	here := probing.Here(s.engine.Self)
	if here.Client != nil {
		var err error
		if here.Down, err = target.StaleNetworkFault(ctx, s.engine.API, here.Client.Inspection); err != nil {
			return report.New(runName), err
		}
	}
	return experiment.Run(ctx, s.engine, request, experiment.Options{
		Progress:   s.progress,
		Vantage:    here,
		ServerEnv:  s.serverEnv(request),
		OnMeasured: s.onMeasured,
	})
}

// experimentCommand is what run and in-container do differently.
type experimentCommand struct {
	name    string
	measure func(ctx context.Context, s session, request experiment.Request) (*report.Report, error)
	// removeCommand is the command that removes what --keep left running; empty if
	// there is nothing. The command docker has the flags that choose the endpoint.
	removeCommand func(docker shell.Text, rep *report.Report, request experiment.Request) string
}

// runExperiment measures on the user's engine and shows the Report. With --keep it
// also prints how to remove what is left running.
func runExperiment(cmd *cobra.Command, dockerCLI command.Cli, options *runOptions, request experiment.Request, c experimentCommand) error {
	renderer, err := newRenderer(dockerCLI, options.output, false)
	if err != nil {
		return usageError(err)
	}
	out := newOutput(cmd, dockerCLI, renderer)
	rep, err := withSession(cmd.Context(), dockerCLI, c.name, cmd.Root().Flags(), nil, func(ctx context.Context, s session) (*report.Report, error) {
		s.onMeasured = func(measured *report.Report) {
			s.complete(ctx, measured)
			defer s.progress.hideCounter()()
			out.show(measured)
		}
		measured, err := c.measure(ctx, s, request)
		if request.Keep && onlyCleanUpFailed(err) { // printed before the Report, which may find a full disk
			s.reaper.Release()
			docker := dockerCommand(cmd.Root().Flags())
			if docker == "" {
				_, _ = fmt.Fprintln(dockerCLI.Err(), "Kept; the command that removes it is left out, since an option of docker cannot be written safely in a shell")
			} else if remove := c.removeCommand(docker, measured, request); remove != "" {
				_, _ = fmt.Fprintf(dockerCLI.Err(), "Kept; to remove: %s\n", remove)
			}
		}
		return measured, err
	})
	addFinding(rep, err)
	return finishCommand(cmd, out, rep, err, unreachable)
}
