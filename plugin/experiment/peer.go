package experiment

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// view is a vantage and what is known of the container whose networks its probes
// leave by.
type view struct {
	vantage Vantage
	found   facts.Container
}

// peer is a container beside the servers, on their first network, that is asked
// from too.
type peer struct {
	view
	prober *engine.RemoteProber
}

// views are those that a server is asked from, that from which it is to be reached
// first.
func (r *run) views() []view {
	if r.peer == nil {
		return []view{r.view}
	}
	return []view{r.view, r.peer.view}
}

// vantages are those of the views. What is known of their containers may still be
// being asked for where a server could not be started.
func (r *run) vantages() []Vantage {
	if r.peer == nil {
		return []Vantage{r.view.vantage}
	}
	return []Vantage{r.view.vantage, r.peer.vantage}
}

// startPeer begins to start the peer, if one is wanted, and returns how to wait
// for it.
func (r *run) startPeer(ctx context.Context) (wait func() error) {
	if !r.spec.Peer {
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
	prober, err := engine.StartProber(ctx, api, r.peerName(), image, where, r.labels)
	if errdefs.IsNotFound(err) {
		// A plugin of another version has put its own agent in the place of ours.
		if image, err = r.engine.AgentImage(ctx); err == nil {
			prober, err = engine.StartProber(ctx, api, r.peerName(), image, where, r.labels)
		}
	}
	if fault := new(report.Fault); errors.As(err, &fault) && fault.Cause == diagnosis.NameInUse {
		r.peerTaken = true
	}
	if err != nil {
		return err
	}
	opened := &peer{prober: prober, view: view{vantage: Vantage{Name: VantagePeer, Container: prober.Agent.ID, Prober: prober}}}
	response, err := api.ContainerInspect(ctx, prober.Agent.ID)
	if err != nil {
		prober.Agent.Lease.Release()
		return fmt.Errorf("inspecting the peer: %w", err)
	}
	opened.found = facts.ReadContainer(response, 0)
	r.peer = opened
	return nil
}

func (r *run) peerName() string { return "nestprobe-" + r.name + "-peer" }

// removePeer removes the peer, however far its start has come.
func (r *run) removePeer(ctx context.Context) error {
	if !r.spec.Peer || r.peerTaken {
		return nil
	}
	if r.peer != nil {
		defer r.peer.prober.Agent.Lease.Release()
	}
	return engine.RemoveContainer(ctx, r.engine.API, r.peerName())
}
