package experiment

import (
	"context"
	"fmt"
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
		Local:    !r.vantage.InContainer(),
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

// joinNetworks connects the client container to the temporary networks. It follows
// gatherFacts and createNetworks. A client without networks is left as it is: engines
// connect a container on the host's network, or on none, to no other one.
func (r *run) joinNetworks(ctx context.Context) error {
	client := r.vantage.found
	if !r.options.ClientJoins || r.plan.Connection.Peer || len(r.temporary.Made) == 0 ||
		client.HostNetwork || client.NoNetwork || len(client.Networks) == 0 {
		return nil
	}
	for _, name := range r.temporary.Made {
		r.joined = append(r.joined, name) // before: a request that fails may have connected it
		if err := engine.JoinNetwork(ctx, r.engine.API, name, r.vantage.Container); err != nil {
			return fmt.Errorf("the client container: %w", err)
		}
	}
	var err error
	r.vantage.found, err = r.vantage.Inspect(ctx, r.engine.API)
	return err
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

// removeNetworks removes the temporary networks, which only the client container still uses.
func (r *run) removeNetworks(ctx context.Context) error {
	for _, name := range r.joined {
		if err := engine.LeaveNetwork(ctx, r.engine.API, name, r.vantage.Container); err != nil {
			return err
		}
	}
	for _, name := range r.temporary.Made {
		if err := engine.RemoveNetwork(ctx, r.engine.API, name); err != nil {
			return err
		}
	}
	return nil
}
