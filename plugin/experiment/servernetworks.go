package experiment

import (
	"context"
	"strconv"
)

// createNetworks makes the temporary networks, if some are wanted.
func (r *run) createNetworks(ctx context.Context) error {
	r.temporary = networkMaker{
		engine:   r.engine,
		labels:   r.labels,
		progress: r.progress,
		settings: r.networks,
		local:    r.view.vantage.Container == "",
	}
	for i, t := range r.spec.Temporary {
		name := NetworkName(r.name)
		if i > 0 {
			name += "-" + strconv.Itoa(i+1)
		}
		if err := r.temporary.create(ctx, name, t); err != nil {
			return err
		}
	}
	return nil
}

// serverNetworks are those that the servers are put on.
func (r *run) serverNetworks() []Network {
	if len(r.spec.Temporary) > 0 {
		made := make([]Network, len(r.temporary.made))
		for i, name := range r.temporary.made {
			made[i].Name = name
		}
		return made
	}
	if len(r.spec.Networks) > 0 {
		return r.spec.Networks
	}
	return []Network{{Name: "default"}}
}
