package experiment

import (
	"context"
	"strconv"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// createNetworks creates the temporary networks of the Plan.
func (r *run) createNetworks(ctx context.Context) error {
	r.temporary = engine.NetworkMaker{
		Engine:   r.engine,
		Labels:   r.labels,
		Progress: r.options.Progress,
		Settings: r.networks,
		Local:    r.vantage.Container == "",
	}
	for i, t := range r.plan.Connection.Temporary {
		name := engine.NetworkName(r.name)
		if i > 0 {
			name += "-" + strconv.Itoa(i+1)
		}
		if err := r.temporary.Create(ctx, name, t); err != nil {
			return err
		}
	}
	return nil
}

// serverNetworks returns the networks that the servers are connected to.
func (r *run) serverNetworks() []Network {
	if len(r.plan.Connection.Temporary) > 0 {
		made := make([]Network, len(r.temporary.Made))
		for i, name := range r.temporary.Made {
			made[i].Name = name
		}
		return made
	}
	if len(r.plan.Connection.Networks) > 0 {
		return r.plan.Connection.Networks
	}
	return []Network{{Name: "default"}}
}

// removeNetworks removes the temporary networks, which are no longer in use.
func (r *run) removeNetworks(ctx context.Context) error {
	for _, name := range r.temporary.Made {
		if err := engine.RemoveNetwork(ctx, r.engine.API, name); err != nil {
			return err
		}
	}
	return nil
}
