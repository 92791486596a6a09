package plugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/go-connections/nat"
	"github.com/spf13/pflag"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
)

// setModes sets the network modes that --networks names.
func (o *runOptions) setModes(request *experiment.Request, flags *pflag.FlagSet) error {
	if len(o.modes) == 0 {
		return errors.New("invalid --networks: it names no network mode")
	}
	modes, err := experiment.ChooseNetworkModes(o.modes)
	if err != nil {
		return fmt.Errorf("invalid --networks: %w", err)
	}
	for _, flag := range []string{"network", "network-driver", "internal", "ipv6", "keep", "servers"} {
		if flags.Changed(flag) {
			return fmt.Errorf("conflicting options: --%s cannot be used with --networks, which starts one server for each network mode", flag)
		}
	}
	if o.output.format == "env" {
		return errors.New("conflicting options: --format env describes one network mode, and --networks tries several")
	}
	if hasHostPort(request.Bindings) {
		return errors.New("conflicting options: --publish with a host port cannot be used with --networks: all servers would need the same port")
	}
	onParent := func(m experiment.NetworkMode) bool { return m.OnParent }
	for _, flag := range []string{"parent", "subnet", "gateway"} {
		if flags.Changed(flag) && !slices.ContainsFunc(modes, onParent) {
			return fmt.Errorf("conflicting options: --%s is only for network modes with a parent interface, and --networks names none of them", flag)
		}
	}
	if o.temporary.Gateway != "" && o.temporary.Subnet == "" {
		return errGatewayWithoutSubnet
	}
	on := experiment.ParentNetwork{Parent: o.temporary.Parent, Subnet: o.temporary.Subnet, Gateway: o.temporary.Gateway}
	for _, m := range modes {
		request.Modes = append(request.Modes, m.Request(on))
	}
	return nil
}

var errGatewayWithoutSubnet = errors.New("--gateway needs --subnet")

// hasHostPort reports whether a binding sets the port on the engine's host.
func hasHostPort(bindings nat.PortMap) bool {
	for _, all := range bindings {
		if slices.ContainsFunc(all, func(b nat.PortBinding) bool { return b.HostPort != "" }) {
			return true
		}
	}
	return false
}

// modesHelp lists the network modes for --help. Place is where the probes are sent
// from.
func modesHelp(place string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "With --networks, a server is started for each network mode, and probed from\n%s and from a peer, a container on the same network. The network\nmodes are", place)
	for _, m := range experiment.NetworkModes() {
		fmt.Fprintf(&text, "\n  %-12s %s", m.Name, m.About)
	}
	return text.String()
}
