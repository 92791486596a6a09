package facts

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"
)

// networks are the settings of an engine's networks, each asked for once.
type Networks struct {
	api   Inspector
	mu    sync.Mutex
	known map[string]network.Inspect
}

func NewNetworks(api Inspector) *Networks {
	return &Networks{api: api, known: map[string]network.Inspect{}}
}

// complete adds the settings of the networks that a container is on. A network
// that somebody has removed meanwhile has none.
func (n *Networks) Complete(ctx context.Context, i *Container) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for at := range i.Addresses.Networks {
		facts := &i.Addresses.Networks[at]
		if facts.Driver != "" {
			continue // complete
		}
		found, ok := n.known[facts.Name]
		if !ok {
			var err error
			if found, err = n.ask(ctx, facts.Name); err != nil {
				return err
			}
		}
		configure(facts, found)
		i.ReportNetworks[at].Driver = found.Driver
	}
	return nil
}

// inspect asks for the settings of one network that has just been made.
func (n *Networks) Inspect(ctx context.Context, name string) (network.Inspect, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ask(ctx, name)
}

func (n *Networks) ask(ctx context.Context, name string) (network.Inspect, error) {
	found, err := n.api.NetworkInspect(ctx, name, network.InspectOptions{})
	if err != nil && !errdefs.IsNotFound(err) {
		return found, fmt.Errorf("inspecting network %s: %w", name, err)
	}
	n.known[name] = found
	return found, nil
}

// configure reads a network's settings. The names of the options are those of
// Docker's bridge driver (moby, libnetwork/drivers/bridge).
func configure(facts *Network, found network.Inspect) {
	const bridge = "com.docker.network.bridge."
	facts.Driver = found.Driver
	facts.Internal = found.Internal
	facts.Default = found.Options[bridge+"default_bridge"] == "true" || defaultNetworks[found.Name]
	facts.ICCDisabled = found.Options[bridge+"enable_icc"] == "false"
	facts.GatewayMode = found.Options[bridge+"gateway_mode_ipv4"]
	facts.MTU, _ = strconv.Atoi(found.Options["com.docker.network.driver.mtu"])
	facts.Subnets = SubnetsOf(found)
}

// defaultNetworks are the networks on which engines put a container that names
// none: Docker's, and Podman's under its own name. Neither has DNS for names of
// containers.
var defaultNetworks = map[string]bool{"bridge": true, "podman": true}

// subnetsOf are a network's subnets, as far as they can be read.
func SubnetsOf(n network.Inspect) []netip.Prefix {
	var subnets []netip.Prefix
	for _, config := range n.IPAM.Config {
		if subnet, err := netip.ParsePrefix(config.Subnet); err == nil {
			subnets = append(subnets, subnet.Masked())
		}
	}
	return subnets
}
