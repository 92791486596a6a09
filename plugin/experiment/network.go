package experiment

import (
	"context"
	"fmt"

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
