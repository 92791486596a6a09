package experiment

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// inspectedVantage is a vantage and what the engine says of its container.
type inspectedVantage struct {
	probing.Vantage
	found facts.ClientContainer // zero for a vantage without a container
}

// peer is another container on the servers' first network. Probes are sent from it
// too.
type peer struct {
	inspectedVantage
	prober *engine.RemoteProber
}

// inspectedVantages returns those that probes are sent from. The one from which the
// servers are to be reached comes first.
func (r *run) inspectedVantages() []inspectedVantage {
	if r.peer == nil {
		return []inspectedVantage{r.vantage}
	}
	return []inspectedVantage{r.vantage, r.peer.inspectedVantage}
}

// vantages returns the same without what the engine says of the containers: an inspection
// may still run when a server could not be started.
func (r *run) vantages() []probing.Vantage {
	if r.peer == nil {
		return []probing.Vantage{r.vantage.Vantage}
	}
	return []probing.Vantage{r.vantage.Vantage, r.peer.Vantage}
}

// startPeer begins to start the peer, if the Plan has one, and returns a function that
// waits for the end of that.
func (r *run) startPeer(ctx context.Context) (wait func() error) {
	if !r.plan.Connection.Peer {
		return func() error { return nil }
	}
	var starting errgroup.Group
	starting.Go(func() error { return r.openPeer(ctx) })
	return sync.OnceValue(starting.Wait)
}

func (r *run) openPeer(ctx context.Context) error {
	api := r.engine.API
	image, err := r.engine.AgentImage(ctx)
	if err != nil {
		return err
	}
	where := container.NetworkMode(r.serverNetworks()[0].Name)
	prober, err := r.engine.StartProber(ctx, ctx, r.peerName(), image, where, r.labels)
	if fault := new(report.Fault); errors.As(err, &fault) && fault.Cause == diagnosis.NameInUse {
		r.peerTaken = true
	}
	if err != nil {
		return err
	}
	opened := &peer{prober: prober, inspectedVantage: inspectedVantage{Vantage: probing.Vantage{Name: probing.VantagePeer, Container: prober.Agent.ID, Roots: r.request.Roots, Prober: prober}}}
	response, err := api.ContainerInspect(ctx, prober.Agent.ID)
	if err != nil {
		prober.Agent.Lease.Release()
		return fmt.Errorf("inspecting the peer: %w", err)
	}
	opened.found.Container = facts.ReadContainer(response, 0)
	r.peer = opened
	return nil
}

func (r *run) peerName() string { return "nestprobe-" + r.name + "-peer" }

// removePeer removes the peer, even if it has been started only in part.
func (r *run) removePeer(ctx context.Context) error {
	if !r.plan.Connection.Peer || r.peerTaken {
		return nil
	}
	var lease *engine.Lease
	if r.peer != nil {
		lease = r.peer.prober.Agent.Lease
	}
	return engine.RemoveContainer(ctx, r.engine.API, r.peerName(), lease)
}
