package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
)

// ListenersReply is what the agent's role sockets prints, and its role probe on
// request.
type ListenersReply struct {
	Listeners listening.Listeners `json:"listeners"`
	Error     string              `json:"error,omitempty"` // if any, nothing is known of what listens
}

func (r *ListenersReply) result() (listening.Listeners, error) {
	switch {
	case r == nil:
		return listening.Listeners{}, errors.New("the agent told nothing of what listens")
	case r.Error != "":
		return listening.Listeners{}, errors.New(r.Error)
	default:
		return r.Listeners, nil
	}
}

// Sockets lists the TCP sockets that listen in the network namespace of a running
// container, which may be the engine's host's. A helper that shares the namespace
// reads them, so the image may be any; the container itself is not touched. The
// helper is made from the agent's image and is gone afterwards.
//
// With an error nothing is known of what listens, but for a CleanUpError alone,
// which comes with the listeners.
func Sockets(ctx context.Context, api API, image, target string, l Labels) (listening.Listeners, error) {
	found, err := socketsIn(ctx, api, image, container.NetworkMode("container:"+target), l)
	if err != nil {
		return found, fmt.Errorf("looking at what listens in container %s: %w", target, err)
	}
	return found, nil
}

// HostSockets does what Sockets does for the network that containers with
// --network host have: the engine's host's, which for Docker Desktop is its
// virtual machine, and for a rootless engine RootlessKit's namespace.
func HostSockets(ctx context.Context, api API, image string, l Labels) (listening.Listeners, error) {
	found, err := socketsIn(ctx, api, image, "host", l)
	if err != nil {
		return found, fmt.Errorf("looking at what listens on the engine's host: %w", err)
	}
	return found, nil
}

// helperBytes tell helpers of one run apart: of ten at once, two have the same
// name once in a hundred million runs.
const HelperBytes = 4

func socketsIn(ctx context.Context, api API, image string, mode container.NetworkMode, l Labels) (listening.Listeners, error) {
	name := "nestprobe-" + l.Run + "-sockets-" + NewToken(HelperBytes)
	c := NewAgentContainer(name, image, "sockets", l)
	c.HostConfig.NetworkMode = mode
	found, err := readSockets(ctx, api, c)
	lost := ctx.Err() != nil || client.IsErrConnectionFailed(err) // else the command goes on
	removeErr := CleanUp(ctx, lost, func(ctx context.Context) error { return RemoveContainer(ctx, api, name) })
	return found, errors.Join(err, removeErr)
}

func readSockets(ctx context.Context, api API, c AgentContainer) (listening.Listeners, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	a, err := StartAgent(ctx, api, c)
	if err != nil {
		return listening.Listeners{}, err
	}
	defer func() {
		stop() // or what is left of stdout, its last newline say, would wait for a reader
		a.Lease.Release()
	}()
	var reply ListenersReply
	if err := a.Receive(ctx, &reply); err != nil {
		return listening.Listeners{}, err
	}
	return reply.result()
}
