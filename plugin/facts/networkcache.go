package facts

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
)

// NetworkCache holds the settings of an engine's networks. It inspects each network
// once. Its methods may be called from several goroutines.
type NetworkCache struct {
	api     Inspector
	omitted *connection.Omitted
	mu      sync.Mutex
	known   map[string]network.Inspect
}

// NewNetworkCache returns a cache that is empty. The settings of networks only add detail:
// those that the engine does not give are noted in omitted, which may be nil.
func NewNetworkCache(api Inspector, omitted *connection.Omitted) *NetworkCache {
	return &NetworkCache{api: api, omitted: omitted, known: map[string]network.Inspect{}}
}

// Complete adds the settings of the networks that a container is on. A network that
// has been removed meanwhile has none. An error says which network the engine could
// not inspect.
func (n *NetworkCache) Complete(ctx context.Context, c *Container) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range c.Networks {
		facts := &c.Networks[i]
		if facts.Driver != "" {
			continue // complete
		}
		found, ok := n.known[facts.Name]
		if !ok {
			var err error
			if found, err = n.inspect(ctx, facts.Name); err != nil {
				return err
			}
		}
		facts.addSettings(found)
		c.ReportNetworks[i].Driver = found.Driver
	}
	return nil
}

// Prefetch inspects networks that Complete will need. An error is not kept: Complete
// inspects that network again.
func (n *NetworkCache) Prefetch(ctx context.Context, names []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range names {
		if _, ok := n.known[name]; !ok {
			_, _ = n.inspect(ctx, name)
		}
	}
}

// Inspect inspects one network that has just been made, and keeps its settings. A
// network that does not exist is the zero Inspect and no error.
func (n *NetworkCache) Inspect(ctx context.Context, name string) (network.Inspect, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.inspect(ctx, name)
}

func (n *NetworkCache) inspect(ctx context.Context, name string) (network.Inspect, error) {
	found, err := n.api.NetworkInspect(ctx, name, network.InspectOptions{})
	if n.omitted.Note(ctx, "GET /networks/{id}", err) {
		err = nil
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return found, fmt.Errorf("inspecting network %s: %w", name, err)
	}
	n.known[name] = found
	return found, nil
}

// addSettings takes over a network's settings. The names of the options are those of
// Docker's bridge driver (moby, libnetwork/drivers/bridge).
func (n *Network) addSettings(found network.Inspect) {
	const bridge = "com.docker.network.bridge."
	n.Driver = found.Driver
	n.Internal = found.Internal
	n.Default = found.Options[bridge+"default_bridge"] == "true" || defaultNetworks[n.Name]
	n.ICCDisabled = found.Options[bridge+"enable_icc"] == "false"
	n.GatewayMode = found.Options[bridge+"gateway_mode_ipv4"]
	n.MTU, _ = strconv.Atoi(found.Options["com.docker.network.driver.mtu"])
	n.Subnets = SubnetsOf(found)
	n.Members = membersOf(found)
}

// defaultNetworks are the networks on which engines put a container that names none:
// Docker's is bridge, Podman's is podman. Neither has DNS for names of containers.
var defaultNetworks = map[string]bool{"bridge": true, "podman": true}
