package experiment

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"
)

// NetworkName is the name of a run's temporary network.
func NetworkName(run string) string { return "nestprobe-" + run }

// createNetwork makes the temporary network, if one is wanted.
func (r *run) createNetwork(ctx context.Context) error {
	temporary := r.spec.Temporary
	if temporary == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.network = NetworkName(r.labels.run)
	options := temporary.options()
	options.Labels = r.labels.values()
	// Not cancelled at once, for the reason given at server.create.
	creating, cancel := outlast(ctx, creatingLimit)
	defer cancel()
	if _, err := r.engine.API.NetworkCreate(creating, r.network, options); err != nil {
		if errdefs.IsConflict(err) {
			r.network = "" // it is somebody else's, and stays
		}
		return fmt.Errorf("creating the network: %w", err)
	}
	return nil
}

func (t *TemporaryNetwork) options() network.CreateOptions {
	options := network.CreateOptions{
		Driver:   t.Driver,
		Internal: t.Internal,
		Options:  map[string]string{},
	}
	if t.Parent != "" {
		options.Options["parent"] = t.Parent
	}
	if t.IPv6 {
		options.EnableIPv6 = &t.IPv6
	}
	if t.Subnet != "" {
		options.IPAM = &network.IPAM{
			Config: []network.IPAMConfig{{Subnet: t.Subnet, Gateway: t.Gateway}},
		}
	}
	return options
}

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
			found, err = n.api.NetworkInspect(ctx, facts.Name, network.InspectOptions{})
			if err != nil && !errdefs.IsNotFound(err) {
				return fmt.Errorf("inspecting network %s: %w", facts.Name, err)
			}
			n.known[facts.Name] = found
		}
		configure(facts, found)
		i.networks[at].Driver = found.Driver
	}
	return nil
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
	for _, config := range found.IPAM.Config {
		if subnet, err := netip.ParsePrefix(config.Subnet); err == nil {
			facts.Subnets = append(facts.Subnets, subnet)
		}
	}
}

// defaultNetworks are the networks on which engines put a container that names
// none: Docker's, and Podman's under its own name. Neither has DNS for names of
// containers.
var defaultNetworks = map[string]bool{"bridge": true, "podman": true}
