package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/completion"
	"github.com/docker/cli/opts"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/client"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// clientOptions are the flags that in-container has in addition to those of run.
type clientOptions struct {
	access     string
	socketPath string
	image      string
	network    opts.NetworkOpt
	user       string
	from       string
	relay      bool
	publish    publishValue // of the relay
	dindImage  string

	runID string // set when the run starts
}

func (o *clientOptions) install(flags *pflag.FlagSet) {
	flags.StringVar(&o.access, "access", string(client.AccessAuto), `How the client accesses the Docker API ("auto", "socket", "endpoint", "dind", "none", "all")`)
	flags.StringVar(&o.socketPath, "socket-path", "", "Path of the engine's socket on the engine's host (default derived from the endpoint)")
	flags.StringVar(&o.image, "client-image", "", "Image of the client container (default the built-in image)")
	flags.Var(&o.network, "client-network", "Connect the client container to a network")
	flags.StringVar(&o.user, "client-user", "", `Username or UID of the client (format: "<name|uid>[:<group|gid>]")`)
	flags.StringVar(&o.from, "from", "", "Probe from the network namespace of a running container instead")
	flags.StringVar(&o.dindImage, "dind-image", "docker:dind", "Image of the nested engine for --access dind")
	flags.BoolVar(&o.relay, "relay", false, "Let the client start servers on demand and proxy HTTP and WebSocket to them")
	flags.Var(&o.publish, relayPublishFlag, "Publish the relay's port to the host (default \"127.0.0.1::4646\", or on a remote engine the address of its host)")
}

// complete registers the shell completions.
func (*clientOptions) complete(cmd *cobra.Command, dockerCLI command.Cli) {
	accesses := []string{"auto", "socket", "endpoint", "dind", "none", "all"}
	_ = cmd.RegisterFlagCompletionFunc("access", completion.FromList(accesses...))
	_ = cmd.RegisterFlagCompletionFunc("client-image", completeImages(dockerCLI))
	_ = cmd.RegisterFlagCompletionFunc("client-network", completion.NetworkNames(dockerCLI))
	_ = cmd.RegisterFlagCompletionFunc("from", completion.ContainerNames(dockerCLI, false))
}

// inContainerName is the name of the command, on the command line and in its Report.
const inContainerName = "in-container"

func newInContainerCommand(dockerCLI command.Cli) *cobra.Command {
	options, client := newRunOptions(), &clientOptions{}
	cmd := &cobra.Command{
		Use:   inContainerName + " [OPTIONS] [IMAGE [COMMAND] [ARG...]]",
		Short: "Start a server from a client container and find which address reaches it",
		Long: `Start a client container with access to the Docker API. The client starts the
server and tries each address that might reach it. Without IMAGE the server is a
built-in one. Everything that was started is removed again.

` + modesHelp("the client container") + `

Exit status: 0 if an address works, 1 if none does or the client has no access to
the Docker API, 125 if it could not be measured, 130 if interrupted.`,
		Example: `  docker nestprobe in-container
  docker nestprobe in-container --access endpoint
  docker nestprobe in-container --client-network my-network --network my-network
  docker nestprobe in-container --from my-container
  docker nestprobe in-container --networks bridge,user-bridge,internal`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := options.request(cmd.Flags(), args)
			if err == nil {
				err = client.check(cmd.Flags(), request)
			}
			if err != nil {
				return usageError(err)
			}
			return runExperiment(cmd, dockerCLI, options, request, experimentCommand{inContainerName, client.measure, client.removeCommand})
		},
	}
	options.install(cmd.Flags())
	client.install(cmd.Flags())
	registerCompletions(cmd, dockerCLI)
	groupFlags(cmd)
	client.complete(cmd, dockerCLI)
	return cmd
}

// check rejects invalid flags before anything is started.
func (o *clientOptions) check(flags *pflag.FlagSet, request experiment.Request) error {
	switch client.Access(o.access) {
	case client.AccessAuto, client.AccessSocket, client.AccessEndpoint, client.AccessDind, client.AccessNone, client.AccessAll:
	default:
		return fmt.Errorf("invalid --access %q: must be auto, socket, endpoint, dind, none or all", o.access)
	}
	if len(o.network.Value()) > 1 {
		return errors.New("--client-network can be used only once")
	}
	if len(request.Modes) > 0 && (o.relay || client.Access(o.access) == client.AccessDind || client.Access(o.access) == client.AccessAll) {
		return errors.New("conflicting options: --networks uses one client, and cannot be used with --relay, --access dind or --access all")
	}
	if request.Keep && o.from == "" && !o.relay {
		return errors.New("conflicting options: --keep needs --relay or --from: otherwise the servers end with the client that started them")
	}
	if o.relay && client.Access(o.access) == client.AccessDind {
		return errors.New("conflicting options: --relay cannot be used with --access dind")
	}
	if o.relay && request.Keep && client.Access(o.access) == client.AccessAll {
		return errors.New("conflicting options: --keep keeps one relay running, and --access all starts several")
	}
	if o.relay && request.Target.Scheme != netprobe.HTTP {
		return fmt.Errorf("conflicting options: --relay cannot be used with --scheme %s", request.Target.Scheme)
	}
	if o.from == "" && o.publish.mapping != nil && !o.relay {
		return fmt.Errorf("conflicting options: --%s needs --relay", relayPublishFlag)
	}
	if o.from == "" {
		return nil
	}
	for _, flag := range []string{"access", "socket-path", "client-image", "client-network", "client-user", "relay", relayPublishFlag, "dind-image"} {
		if flags.Changed(flag) {
			return fmt.Errorf("conflicting options: --%s is for a client container, and --from probes from a running container", flag)
		}
	}
	return nil
}

func (o *clientOptions) measure(ctx context.Context, s session, request experiment.Request) (*report.Report, error) {
	if o.from != "" {
		return client.RunFromContainer(ctx, s.engine, request, o.from, experiment.Options{
			Progress:   s.progress,
			ServerEnv:  s.serverEnv(request),
			OnMeasured: s.onMeasured,
		})
	}
	wanted, err := o.clientContainer(s, request)
	if err != nil {
		return report.New(inContainerName), err
	}
	o.runID = s.engine.NewRun()
	wanted.ID = o.runID
	return client.Run(ctx, s.engine, request, wanted)
}

// removeCommand is the command that removes what --keep left running. A relay removes its
// servers when it ends, and its guard does if the relay was killed.
func (o *clientOptions) removeCommand(docker shell.Text, rep *report.Report, request experiment.Request) string {
	if !o.relay {
		return removeServersCommand(docker, rep, request)
	}
	works := slices.IndexFunc(rep.Accesses, func(a report.Access) bool { return a.OK })
	if works < 0 {
		return ""
	}
	return shell.Line("%s stop %s", docker, client.ContainerName(o.runID, works))
}

// clientContainer returns the client container that the flags and the endpoint describe.
func (o *clientOptions) clientContainer(s session, request experiment.Request) (client.Options, error) {
	client := client.Options{
		Progress:     s.progress,
		OnMeasured:   s.onMeasured,
		Access:       client.Access(o.access),
		Endpoint:     s.endpoint.Settings,
		SocketPath:   cmp.Or(o.socketPath, s.mountedSocket()),
		Relay:        o.relay,
		RelayPublish: o.publish.mapping,
		ServerEnv:    s.serverEnv(request),
		DindImage:    o.dindImage,
		Image:        o.image,
		Env:          s.withProxies(nil),
		User:         o.user,
	}
	for _, n := range o.network.Value() {
		settings, err := endpointSettings(n)
		if err != nil {
			return client, usageError(fmt.Errorf("invalid --client-network: %w", err))
		}
		client.Network = experiment.Network{Name: n.Target, Endpoint: settings}
	}
	return client, nil
}
