package plugin

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/platforms"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/completion"
	"github.com/docker/cli/opts"
	"github.com/docker/cli/opts/swarmopts"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render"
)

// Defaults of the built-in server.
const (
	builtinPort      = 4647
	builtinPath      = "/foo"
	builtinWebSocket = "/ws"
)

// publishNone is the value of --publish that publishes nothing.
const publishNone = "none"

// runOptions are the flags of run. The code of docker/cli parses those that docker
// run also has.
type runOptions struct {
	targetOptions

	port portValue

	publish    opts.ListOpts
	publishAll bool
	networks   opts.NetworkOpt
	temporary  engine.TemporaryNetwork
	modes      []string

	env        opts.ListOpts
	envFiles   opts.ListOpts
	entrypoint string
	volumes    opts.ListOpts
	hostname   string
	addHosts   opts.ListOpts
	user       string
	platform   string
	pull       string

	servers int
	wait    time.Duration
	timeout time.Duration
	keep    bool
	nodes   bool

	output outputOptions
}

func newRunOptions() *runOptions {
	return &runOptions{
		publish:  opts.NewListOpts(nil),
		env:      opts.NewListOpts(opts.ValidateEnv),
		envFiles: opts.NewListOpts(nil),
		volumes:  opts.NewListOpts(nil),
		addHosts: opts.NewListOpts(opts.ValidateExtraHost),
	}
}

func (o *runOptions) install(flags *pflag.FlagSet) {
	flags.SetInterspersed(false) // what follows IMAGE is its command
	flags.Var(&o.port, "port", "Container port to probe (default 4647; with IMAGE the only published or exposed port)")
	o.targetOptions.install(flags,
		`Protocol to probe with: "http", "https", "tcp" (default "http")`,
		`HTTP path (default "/foo", or "/" with IMAGE)`,
		`Path of a WebSocket that echoes messages (default "/ws", or none with IMAGE)`)
	flags.StringVar(&o.method, "method", http.MethodGet, "HTTP method")

	flags.VarP(&o.publish, "publish", "p", `Publish container ports to the host, or "none" (default the probed port on all addresses)`)
	flags.BoolVarP(&o.publishAll, "publish-all", "P", false, "Publish all exposed ports to random ports")
	flags.Var(&o.networks, "network", "Connect the server to a network")
	flags.StringVar(&o.temporary.Driver, "network-driver", "", `Create a temporary network with this driver ("bridge", "macvlan", "ipvlan")`)
	flags.StringVar(&o.temporary.Parent, "parent", "", "Parent interface of the temporary network, on the engine's host")
	flags.StringVar(&o.temporary.Subnet, "subnet", "", "Subnet of the temporary network in CIDR format")
	flags.StringVar(&o.temporary.Gateway, "gateway", "", "Gateway of the temporary network")
	flags.BoolVar(&o.temporary.Internal, "internal", false, "Restrict external access to the temporary network")
	flags.BoolVar(&o.temporary.IPv6, "ipv6", false, "Enable IPv6 on the temporary network")

	flags.StringSliceVar(&o.modes, "networks", nil, `Try network modes in parallel: names, or "all"`)

	flags.VarP(&o.env, "env", "e", "Set environment variables")
	flags.Var(&o.envFiles, "env-file", "Read in a file of environment variables")
	flags.StringVar(&o.entrypoint, "entrypoint", "", "Overwrite the default ENTRYPOINT of the image")
	flags.VarP(&o.volumes, "volume", "v", "Bind mount a volume")
	flags.StringVar(&o.hostname, "hostname", "", "Host name of the server's container")
	flags.StringVar(&o.user, "user", "", `Username or UID (format: "<name|uid>[:<group|gid>]")`)
	flags.StringVar(&o.platform, "platform", "", "Set platform if server is multi-platform capable")
	flags.StringVar(&o.pull, "pull", string(engine.PullMissing), `Pull image before running ("always", "missing", "never")`)
	flags.Var(&o.addHosts, "add-host", "Add a custom host-to-IP mapping (host:ip)")

	flags.IntVar(&o.servers, "servers", 1, "Number of servers to start")
	flags.DurationVar(&o.wait, "wait", 30*time.Second, "Longest wait for an answer; by default a built-in server that already listens gets 4s plus --timeout")
	flags.DurationVar(&o.timeout, "timeout", time.Second, "Longest time for one attempt at one address")
	flags.BoolVar(&o.keep, "keep", false, "Keep the servers running, and print how to remove them")

	o.output.install(flags, "Print only the best base URL, one per line with --servers")
}

const formatHelp = `Format output using a custom template:
'table':            Print output in table format with column headers (default)
'table TEMPLATE':   Print output in table format using the given Go template
'json':             Print the whole report in JSON format
'markdown':         Print a report to paste into an issue, with a diagram
'mermaid':          Print only the diagram, as a Mermaid flowchart
'env':              Print settings for other tools, as measured to work
'TEMPLATE':         Print the report using the given Go template`

// registerCompletions registers the shell completions of run and in-container.
func registerCompletions(cmd *cobra.Command, dockerCLI command.Cli) {
	cmd.ValidArgsFunction = completeImages(dockerCLI)
	for flag, complete := range map[string]cobra.CompletionFunc{
		"scheme":         completeSchemes(),
		"network":        completion.NetworkNames(dockerCLI),
		"network-driver": completion.FromList("bridge", "macvlan", "ipvlan"),
		"networks":       completion.FromList(experiment.NetworkModeNames()...),
		"env":            completion.EnvVarNames,
		"env-file":       completion.FileNames,
		"volume":         completion.VolumeNames(dockerCLI),
		"platform":       completion.Platforms,
		"pull":           completion.FromList("always", "missing", "never"),
		"format":         completion.FromList(render.Names()...),
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, complete) // fails only for unknown flags, which a test finds
	}
}

func completeSchemes() cobra.CompletionFunc {
	return completion.FromList(string(netprobe.HTTP), string(netprobe.HTTPS), string(netprobe.TCP))
}

// request returns the experiment that the flags describe.
func (o *runOptions) request(flags *pflag.FlagSet, args []string) (experiment.Request, error) {
	target, err := o.target()
	if err != nil {
		return experiment.Request{}, err
	}
	target.Scheme = cmp.Or(target.Scheme, netprobe.HTTP)
	request := experiment.Request{
		User:     o.user,
		Hostname: o.hostname,
		AddHosts: o.addHosts.GetSlice(),
		Pull:     engine.PullPolicy(o.pull),
		Port:     uint16(o.port),
		Target:   target,
		Servers:  o.servers,
		Wait:     o.wait,
		WaitOut:  flags.Changed("wait"),
		Timeout:  o.timeout,
		Keep:     o.keep,
	}
	if len(args) > 0 {
		request.Image, request.Command = args[0], args[1:]
	}
	if o.nodes {
		if err := checkNodes(flags, args); err != nil {
			return request, err
		}
	}
	o.setDefaults(&request, flags)
	if err := check(request, flags); err != nil {
		return request, err
	}
	if err := o.setContainer(&request, flags); err != nil {
		return request, err
	}
	if err := o.setPublish(&request); err != nil {
		return request, err
	}
	if flags.Changed("networks") {
		return request, o.setModes(&request, flags)
	}
	return request, o.setNetworks(&request, flags)
}

// setDefaults sets the defaults, which differ between IMAGE and the built-in server.
func (o *runOptions) setDefaults(request *experiment.Request, flags *pflag.FlagSet) {
	if !request.Builtin() {
		request.Target.Path = cmp.Or(request.Target.Path, "/")
		if request.Target.Scheme == netprobe.HTTPS {
			request.Roots = facts.MachineRoots().PEM
		}
		return
	}
	if !flags.Changed("port") {
		request.Port = builtinPort
	}
	request.Target.Path = cmp.Or(request.Target.Path, builtinPath)
	if !flags.Changed("websocket") && request.Target.Scheme != netprobe.TCP {
		request.Target.WebSocket = builtinWebSocket
	}
}

// check rejects invalid values before anything is started.
func check(request experiment.Request, flags *pflag.FlagSet) error {
	switch {
	case request.Pull != engine.PullAlways && request.Pull != engine.PullMissing && request.Pull != engine.PullNever:
		return fmt.Errorf("invalid --pull %q: must be always, missing or never", request.Pull)
	case request.Servers < 1:
		return fmt.Errorf("invalid --servers %d: must be at least 1", request.Servers)
	case request.Wait <= 0:
		return fmt.Errorf("invalid --wait %s: must be above zero", request.Wait)
	case request.Timeout <= 0:
		return fmt.Errorf("invalid --timeout %s: must be above zero", request.Timeout)
	}
	return checkTarget(request.Target, flags)
}

// setContainer sets what a container is created with, as docker run does.
func (o *runOptions) setContainer(request *experiment.Request, flags *pflag.FlagSet) (err error) {
	if flags.Changed("entrypoint") {
		if request.Builtin() {
			return errors.New("conflicting options: --entrypoint needs IMAGE: the built-in server has no other program")
		}
		request.Entrypoint = []string{o.entrypoint} // one empty text resets it
	}
	if request.Env, err = opts.ReadKVEnvStrings(o.envFiles.GetSlice(), o.env.GetSlice()); err != nil {
		return fmt.Errorf("invalid --env-file: %w", err)
	}
	if err = o.setVolumes(request); err != nil {
		return err
	}
	return o.setPlatform(request)
}

// setVolumes splits --volume into bind mounts, named volumes included, and anonymous
// volumes. The engine checks the rest.
func (o *runOptions) setVolumes(request *experiment.Request) error {
	for _, volume := range o.volumes.GetSlice() {
		source, target, mounted := strings.Cut(volume, ":")
		switch {
		case volume == "":
			return errors.New("invalid --volume: it is empty")
		case !mounted:
			if request.Volumes == nil {
				request.Volumes = map[string]struct{}{}
			}
			request.Volumes[volume] = struct{}{}
			continue
		case strings.HasPrefix(source, "."): // relative to the folder of this command
			absolute, err := filepath.Abs(source)
			if err != nil {
				return fmt.Errorf("invalid --volume: %w", err)
			}
			source = absolute
		}
		request.Binds = append(request.Binds, source+":"+target)
	}
	return nil
}

func (o *runOptions) setPlatform(request *experiment.Request) error {
	if o.platform == "" {
		return nil
	}
	platform, err := platforms.Parse(o.platform)
	if err != nil {
		return fmt.Errorf("invalid --platform: %w", err)
	}
	request.Platform = &platform
	return nil
}

// setPublish parses --publish as docker run does: the short syntax by nat, the
// long one (target=80,published=8080) by swarmopts.PortOpt.
func (o *runOptions) setPublish(request *experiment.Request) error {
	publish := o.publish.GetSlice()
	request.PublishAll = o.publishAll
	if len(publish) == 0 {
		request.PublishPort = true
		return nil
	}
	if len(publish) == 1 && publish[0] == publishNone {
		if o.publishAll {
			return errors.New("conflicting options: --publish none publishes nothing, and --publish-all all ports")
		}
		return nil
	}
	specs := make([]string, len(publish))
	for i, value := range publish {
		short, err := shortPublish(value)
		if err != nil {
			return fmt.Errorf("invalid --publish: %w", err)
		}
		specs[i] = short
	}
	exposed, bindings, err := nat.ParsePortSpecs(specs)
	if err != nil {
		return fmt.Errorf("invalid --publish: %w", err)
	}
	request.Exposed, request.Bindings = exposed, bindings
	return nil
}

// shortPublish turns docker's long syntax into the short one.
func shortPublish(value string) (string, error) {
	if !strings.Contains(value, "=") {
		return value, nil
	}
	var long swarmopts.PortOpt
	if err := long.Set(value); err != nil {
		return "", err
	}
	port := long.Value()[0]
	published := ""
	if port.PublishedPort != 0 {
		published = fmt.Sprint(port.PublishedPort)
	}
	return fmt.Sprintf("%s:%d/%s", published, port.TargetPort, port.Protocol), nil
}

func (o *runOptions) setNetworks(request *experiment.Request, flags *pflag.FlagSet) error {
	for _, n := range o.networks.Value() {
		endpoint, err := endpointSettings(n)
		if err != nil {
			return fmt.Errorf("invalid --network: %w", err)
		}
		if container.NetworkMode(n.Target).IsContainer() {
			return fmt.Errorf("invalid --network %q: nestprobe cannot distinguish a server from a container that has the same addresses", n.Target)
		}
		request.Connection.Networks = append(request.Connection.Networks, experiment.Network{Name: n.Target, Endpoint: endpoint})
	}
	predefined := func(n experiment.Network) bool { return !container.NetworkMode(n.Name).IsUserDefined() }
	if len(request.Connection.Networks) > 1 && slices.ContainsFunc(request.Connection.Networks, predefined) {
		return errors.New("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
	}
	for _, flag := range []string{"network-driver", "parent", "subnet", "gateway", "internal", "ipv6"} {
		if !flags.Changed(flag) {
			continue
		}
		if len(request.Connection.Networks) > 0 {
			return fmt.Errorf("conflicting options: --%s creates a temporary network and cannot be used with --network", flag)
		}
		request.Connection.Temporary = []engine.TemporaryNetwork{o.temporary}
	}
	if request.Connection.Temporary != nil && o.temporary.Gateway != "" && o.temporary.Subnet == "" {
		return errGatewayWithoutSubnet
	}
	return nil
}

// endpointSettings returns the settings of --network, or nil if there is only a name.
// Podman 4.3 rejects settings, even empty ones, for host and none.
func endpointSettings(n opts.NetworkAttachmentOpts) (*network.EndpointSettings, error) {
	if strings.TrimSpace(n.Target) == "" {
		return nil, errors.New("no name set for network")
	}
	if len(n.Aliases) > 0 && !container.NetworkMode(n.Target).IsUserDefined() {
		return nil, errors.New("network-scoped aliases are only supported for user-defined networks")
	}
	addressed := n.IPv4Address != "" || n.IPv6Address != "" || len(n.LinkLocalIPs) > 0
	if !addressed && len(n.Aliases) == 0 && len(n.DriverOpts) == 0 && n.MacAddress == "" && n.GwPriority == 0 {
		return nil, nil
	}
	settings := &network.EndpointSettings{
		Aliases:    n.Aliases,
		DriverOpts: n.DriverOpts,
		MacAddress: n.MacAddress,
		GwPriority: n.GwPriority,
	}
	if addressed {
		settings.IPAMConfig = &network.EndpointIPAMConfig{
			IPv4Address:  n.IPv4Address,
			IPv6Address:  n.IPv6Address,
			LinkLocalIPs: n.LinkLocalIPs,
		}
	}
	return settings, nil
}
