package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/completion"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/checks"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render"
	"github.com/nestprobe/docker-nestprobe/plugin/target"
	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

// diagnoseName is the command's name, on the command line and in its Report.
const diagnoseName = "diagnose"

// diagnoseOptions are the flags of diagnose.
type diagnoseOptions struct {
	targetOptions

	from        []string
	allContexts bool
	explain     string
	list        bool
	timeout     time.Duration
	output      outputOptions

	target target.Target // parsed from TARGET; set by check
}

func (o *diagnoseOptions) install(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.from, "from", nil, `Where to probe from: "host" (where this command runs), a running container, "network:NAME" (repeatable)`)
	flags.BoolVar(&o.allContexts, "all-contexts", false, "Check all contexts in parallel")
	flags.StringVar(&o.explain, "explain", "", "Explain a cause, or find the causes of an error message")
	flags.BoolVar(&o.list, "list", false, "List all causes")
	o.targetOptions.install(flags,
		`Protocol to probe TARGET with: "http", "https", "tcp" (default "tcp": connect and listen; "http" with another option for HTTP)`,
		`HTTP path (default "/")`,
		"Path of a WebSocket that echoes messages")
	flags.DurationVar(&o.timeout, "timeout", time.Second, "Longest time for one attempt at one address")
	o.output.install(flags, "Print only the causes of errors and warnings, one per line")
}

func newDiagnoseCommand(dockerCLI command.Cli) *cobra.Command {
	options := &diagnoseOptions{}
	cmd := &cobra.Command{
		Use:   diagnoseName + " [OPTIONS] [TARGET]",
		Short: "Find what is wrong, show the evidence, suggest a fix",
		Long: `Check the Docker context, its endpoint, the engine, how containers can get access
to the Docker API, networks, proxies and leftovers. With a TARGET, find why that
server can or cannot be reached: CONTAINER[:PORT] is a server in a container, named
by the container, its Compose service or a network alias; host:PORT is a server on
the engine's host. An address such as localhost:PORT, or a URL, is the container
that publishes that port, or has it and does not publish it there; if there is
none, host:PORT. It is an error if exactly that address does not lead there. With
--from, a name means what it means to that client. Nothing is changed, and helper
containers are removed again. By default it connects to TARGET, listens and sends
nothing; a path, a header, a status or a WebSocket has it send a request over HTTP.

Exit status: 0 if nothing is wrong, 1 if there is an error, 125 if it could not be
measured, 130 if interrupted.`,
		Example: `  docker nestprobe diagnose
  docker nestprobe diagnose my-container:8080
  docker nestprobe diagnose --from my-client my-container:8080
  docker nestprobe diagnose localhost:32768
  docker nestprobe diagnose --path /healthz --header 'Host: shop' my-container:8080
  docker nestprobe diagnose host:3000
  docker nestprobe diagnose --all-contexts
  docker nestprobe diagnose --explain tls-expired
  docker nestprobe diagnose --explain "curl: (52) Empty reply from server"`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := options.check(cmd.Flags(), args); err != nil {
				return usageError(err)
			}
			return options.run(cmd, dockerCLI, args)
		},
	}
	options.install(cmd.Flags())
	options.complete(cmd, dockerCLI)
	return cmd
}

// complete registers the shell completions.
func (*diagnoseOptions) complete(cmd *cobra.Command, dockerCLI command.Cli) {
	cmd.ValidArgsFunction = completeTarget(dockerCLI)
	_ = cmd.RegisterFlagCompletionFunc("from", completePlaces(dockerCLI))
	_ = cmd.RegisterFlagCompletionFunc("scheme", completeSchemes())
	_ = cmd.RegisterFlagCompletionFunc("explain", completeCauses)
	_ = cmd.RegisterFlagCompletionFunc("format", completion.FromList(render.Names()...))
}

// check rejects invalid flags and arguments before anything is measured.
func (o *diagnoseOptions) check(flags *pflag.FlagSet, args []string) error {
	switch {
	case len(args) > 1:
		return fmt.Errorf("diagnose takes one TARGET at most, not %d", len(args))
	case o.timeout <= 0:
		return fmt.Errorf("invalid --timeout %s: must be above zero", o.timeout)
	}
	for _, exclusive := range []string{"list", "explain", "all-contexts"} {
		if flags.Changed(exclusive) {
			return checkExclusive(flags, args, exclusive)
		}
	}
	if len(args) > 0 {
		return o.setTarget(flags, args[0])
	}
	for _, needsTarget := range o.targetFlags() {
		if flags.Changed(needsTarget) {
			return fmt.Errorf("--%s needs a TARGET: it sets how to probe the target", needsTarget)
		}
	}
	return nil
}

// targetFlags are the flags that only a TARGET has a use for.
func (*diagnoseOptions) targetFlags() []string {
	return append([]string{"from", "scheme", "expect-body"}, httpFlags...)
}

func (o *diagnoseOptions) setTarget(flags *pflag.FlagSet, text string) (err error) {
	if o.target, err = parseTarget(text); err != nil {
		return err
	}
	o.target.From, o.target.Timeout = o.from, o.timeout
	o.useURL(flags)
	if o.target.Request, err = o.targetOptions.target(); err != nil {
		return err
	}
	o.target.Request.Scheme = o.schemeFor(flags)
	if o.target.Request.Scheme != netprobe.TCP {
		o.target.Request.Path = cmp.Or(o.target.Request.Path, "/")
	}
	return checkTarget(o.target.Request, flags)
}

// useURL takes the scheme and the path of a TARGET that is a URL, unless a flag has them. A
// URL with ws or wss is one of a WebSocket too.
// A scheme that no probe speaks, such as postgres, is probed over TCP.
func (o *diagnoseOptions) useURL(flags *pflag.FlagSet) {
	u := o.target.URL
	if u == nil {
		return
	}
	scheme := map[string]netprobe.Scheme{
		"http": netprobe.HTTP, "https": netprobe.HTTPS, "ws": netprobe.HTTP, "wss": netprobe.HTTPS, "": netprobe.HTTP,
	}[u.Scheme]
	if scheme == "" {
		return
	}
	o.scheme = cmp.Or(o.scheme, string(scheme))
	if u.Scheme == "ws" || u.Scheme == "wss" {
		o.webSocket = cmp.Or(o.webSocket, u.RequestURI())
		if !flags.Changed("expect-status") {
			o.status = http.StatusSwitchingProtocols
		}
	}
	if u.Path != "" && !flags.Changed("path") {
		o.path = u.RequestURI()
	}
}

// schemeFor returns the scheme to probe with. An option that only HTTP has a use for
// chooses HTTP, as a path does in the URL of other tools.
func (o *diagnoseOptions) schemeFor(flags *pflag.FlagSet) netprobe.Scheme {
	switch {
	case o.scheme != "":
		return netprobe.Scheme(o.scheme)
	case slices.ContainsFunc(httpFlags, flags.Changed):
		return netprobe.HTTP
	default:
		return netprobe.TCP
	}
}

// checkExclusive rejects what cannot be used together with a flag that takes no
// TARGET.
func checkExclusive(flags *pflag.FlagSet, args []string, exclusive string) error {
	if len(args) > 0 {
		return fmt.Errorf("conflicting options: --%s cannot be used with a TARGET", exclusive)
	}
	others := append([]string{"list", "explain", "all-contexts"}, new(diagnoseOptions).targetFlags()...)
	if exclusive == "explain" {
		others = append(others, "quiet")
	}
	for _, other := range others {
		if other != exclusive && flags.Changed(other) {
			return fmt.Errorf("conflicting options: --%s cannot be used with --%s", exclusive, other)
		}
	}
	return nil
}

func (o *diagnoseOptions) run(cmd *cobra.Command, dockerCLI command.Cli, args []string) error {
	switch {
	case cmd.Flags().Changed("explain"):
		return explain(dockerCLI.Out(), o.explain, o.output.format)
	case o.list:
		return listCauses(dockerCLI.Out(), o.output.format, o.output.quiet)
	}
	renderer, err := newRenderer(dockerCLI, o.output, len(args) == 0)
	if err != nil {
		return usageError(err)
	}
	began := time.Now()
	rep, err := o.measure(cmd, dockerCLI, args)
	rep.Timings.TotalMS = report.Milliseconds(time.Since(began))
	err = faultIsFinding(cmd, rep, err)
	rep.OK = err == nil && len(causesOf(rep.Findings, report.SeverityError)) == 0
	return finishCommand(cmd, newOutput(cmd, dockerCLI, renderer), rep, err, diagnosed)
}

// measure returns a Report that is never nil.
func (o *diagnoseOptions) measure(cmd *cobra.Command, dockerCLI command.Cli, args []string) (*report.Report, error) {
	flags := cmd.Root().Flags() // docker's own
	switch {
	case len(args) > 0:
		rep, err := o.measureTarget(cmd.Context(), dockerCLI, flags)
		if missing := new(meaning.NotFoundError); errors.As(err, &missing) && missing.Name == o.target.Container {
			err = searchContexts(cmd.Context(), dockerCLI, missing, args[0])
		}
		return rep, err
	case o.allContexts:
		shown := &progress{out: dockerCLI.Err()}
		defer shown.Step("Checking the contexts")()
		return o.checkContexts(cmd.Context(), dockerCLI, flags, shown)
	default:
		shown := &progress{out: dockerCLI.Err()}
		defer shown.Step("Checking the context")()
		return o.checkContext(cmd.Context(), dockerCLI, flags, shown)
	}
}

// measureTarget explains why a running server can or cannot be reached.
func (o *diagnoseOptions) measureTarget(ctx context.Context, dockerCLI command.Cli, flags *pflag.FlagSet) (*report.Report, error) {
	adjust := func(e *endpoint.Endpoint) {
		e.Settings = e.WithAnswerTimeout(checks.AnswerTimeout(e.Transport, o.timeout))
	}
	return withSession(ctx, dockerCLI, diagnoseName, flags, adjust, func(ctx context.Context, s session) (*report.Report, error) {
		defer s.progress.Step("Probing the target")()
		measured, found, err := target.Explain(ctx, s.engine, o.target, s.progress)
		measured.Checks = checks.DescribeTarget(ctx, checks.TargetInput{Facts: found, Probes: measured.Probes, Findings: measured.Findings})
		return measured, err
	})
}
