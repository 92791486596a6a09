package experiment

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"
)

// networks are the settings of an engine's networks, each asked for once.
type networks struct {
	api   API
	mu    sync.Mutex
	known map[string]network.Inspect
}

func newNetworks(api API) *networks {
	return &networks{api: api, known: map[string]network.Inspect{}}
}

// complete adds the settings of the networks that a container is on. A network
// that somebody has removed meanwhile has none.
func (n *networks) complete(ctx context.Context, i *inspection) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for at := range i.facts.Networks {
		facts := &i.facts.Networks[at]
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
		i.networks[at].Driver = found.Driver
	}
	return nil
}

// inspect asks for the settings of one network that has just been made.
func (n *networks) inspect(ctx context.Context, name string) (network.Inspect, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ask(ctx, name)
}

func (n *networks) ask(ctx context.Context, name string) (network.Inspect, error) {
	found, err := n.api.NetworkInspect(ctx, name, network.InspectOptions{})
	if err != nil && !errdefs.IsNotFound(err) {
		return found, fmt.Errorf("inspecting network %s: %w", name, err)
	}
	n.known[name] = found
	return found, nil
}

// configure reads a network's settings. The names of the options are those of
// Docker's bridge driver (moby, libnetwork/drivers/bridge).
func configure(facts *NetworkFacts, found network.Inspect) {
	const bridge = "com.docker.network.bridge."
	facts.Driver = found.Driver
	facts.Internal = found.Internal
	facts.Default = found.Options[bridge+"default_bridge"] == "true" || defaultNetworks[found.Name]
	facts.ICCDisabled = found.Options[bridge+"enable_icc"] == "false"
	facts.GatewayMode = found.Options[bridge+"gateway_mode_ipv4"]
	facts.MTU, _ = strconv.Atoi(found.Options["com.docker.network.driver.mtu"])
	facts.Subnets = subnetsOf(found)
}

// defaultNetworks are the networks on which engines put a container that names
// none: Docker's, and Podman's under its own name. Neither has DNS for names of
// containers.
var defaultNetworks = map[string]bool{"bridge": true, "podman": true}
