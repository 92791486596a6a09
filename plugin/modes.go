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

// setModes turns --networks into what is to be measured.
func (o *runOptions) setModes(spec *experiment.Spec, flags *pflag.FlagSet) error {
	if len(o.modes) == 0 {
		return errors.New("invalid --networks: it names none")
	}
	modes, err := experiment.ChooseNetworkModes(o.modes)
	if err != nil {
		return fmt.Errorf("invalid --networks: %w", err)
	}
	for _, flag := range []string{"network", "network-driver", "internal", "ipv6", "keep", "servers"} {
		if flags.Changed(flag) {
			return fmt.Errorf("conflicting options: --%s cannot be used with --networks, which starts one server on each", flag)
		}
	}
	if o.format == "env" {
		return errors.New("conflicting options: --format env is for one way to connect a server, and --networks tries several")
	}
	if fixedPort(spec.Bindings) {
		return errors.New("conflicting options: --publish with a host port cannot be used with --networks: the servers would all have it")
	}
	onParent := func(m experiment.NetworkMode) bool { return m.OnParent }
	for _, flag := range []string{"parent", "subnet", "gateway"} {
		if flags.Changed(flag) && !slices.ContainsFunc(modes, onParent) {
			return fmt.Errorf("conflicting options: --%s is about networks of a parent interface, and --networks names none of them", flag)
		}
	}
	if o.temporary.Gateway != "" && o.temporary.Subnet == "" {
		return errGatewayAlone
	}
	on := experiment.ParentNetwork{Parent: o.temporary.Parent, Subnet: o.temporary.Subnet, Gateway: o.temporary.Gateway}
	for _, m := range modes {
		spec.Modes = append(spec.Modes, m.Spec(on))
	}
	return nil
}

var errGatewayAlone = errors.New("--gateway needs --subnet")

// fixedPort says whether the user has chosen a port of the engine's host.
func fixedPort(bindings nat.PortMap) bool {
	for _, all := range bindings {
		if slices.ContainsFunc(all, func(b nat.PortBinding) bool { return b.HostPort != "" }) {
			return true
		}
	}
	return false
}

// modesHelp lists the network modes for --help.
func modesHelp() string {
	var text strings.Builder
	text.WriteString("With --networks, a server is started on each of several networks, and asked from\nhere and from a peer, a container on the same network. The network modes are")
	for _, m := range experiment.NetworkModes() {
		fmt.Fprintf(&text, "\n  %-12s %s", m.Name, m.About)
	}
	return text.String()
}
