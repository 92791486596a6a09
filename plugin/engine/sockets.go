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
	Error     string              `json:"error,omitempty"` // if not empty, nothing is known about the sockets
}

func (r *ListenersReply) result() (listening.Listeners, error) {
	switch {
	case r == nil:
		return listening.Listeners{}, errors.New("the agent did not list the listening sockets")
	case r.Error != "":
		return listening.Listeners{}, errors.New(r.Error)
	default:
		return r.Listeners, nil
	}
}

// Helpers starts the helper containers of a run, and removes them again.
type Helpers struct {
	API    API
	Image  string // of the agent
	Labels Labels
	Scope  *Scope
}

// Sockets lists the TCP sockets that listen in the network namespace of a running
// container, which may be that of the engine's host. A helper with the agent's image
// shares the namespace and reads them, so the container's own image does not matter, and
// the container is not changed. The helper is removed afterwards.
//
// After an error nothing is known about the sockets, unless the error is only a
// CleanUpError.
func (h Helpers) Sockets(ctx context.Context, target string) (listening.Listeners, error) {
	return h.socketsIn(ctx, container.NetworkMode("container:"+target), "in container "+target)
}

// HostSockets does what Sockets does for the network namespace of the engine's host. For
// Docker Desktop that is its VM's, and for a rootless engine it is that of RootlessKit.
func (h Helpers) HostSockets(ctx context.Context) (listening.Listeners, error) {
	return h.socketsIn(ctx, "host", "on the engine's host")
}

// HelperBytes is the size, in bytes, of the random part of a helper's name: of ten helpers
// of one run, two have the same name once in a hundred million runs.
const HelperBytes = 4

func (h Helpers) socketsIn(ctx context.Context, mode container.NetworkMode, where string) (listening.Listeners, error) {
	name := "nestprobe-" + h.Labels.Run + "-sockets-" + NewToken(HelperBytes)
	c := NewAgentContainer(name, h.Image, "sockets", h.Labels)
	c.HostConfig.NetworkMode = mode
	scope := h.Scope.Part()
	scope.Undo(func(ctx context.Context) error { return RemoveContainer(ctx, h.API, name) })
	found, err := readSockets(ctx, h.API, c)
	lost := ctx.Err() != nil || client.IsErrConnectionFailed(err) // otherwise the command goes on
	if err = errors.Join(err, scope.Close(ctx, lost)); err != nil {
		return found, fmt.Errorf("reading which sockets listen %s: %w", where, err)
	}
	return found, nil
}

func readSockets(ctx context.Context, api API, c AgentContainer) (listening.Listeners, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	a, err := StartAgent(ctx, ctx, api, c)
	if err != nil {
		return listening.Listeners{}, err
	}
	defer func() {
		stop() // or the copy of the rest of stdout, such as its last newline, waits for a reader
		a.Lease.Release()
	}()
	var reply ListenersReply
	if err := a.Receive(ctx, &reply); err != nil {
		return listening.Listeners{}, err
	}
	return reply.result()
}
