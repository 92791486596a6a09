// Package engine holds what nestprobe makes on an engine and removes again: the
// agent's image, containers, networks, their labels and leases, and what is left of
// earlier runs. Everything that starts a container calls it. It must not know which
// addresses are probed, or why.
package engine

import (
	"context"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
)

// Engine is the Docker API that an experiment runs on.
type Engine struct {
	API API
	// Host is the name or address of the machine that a tcp or ssh endpoint
	// leads to; empty for a local one, and for a loopback address.
	Host string
	// Loopback says that the endpoint is a port of this machine's loopback. The
	// engine may be on this machine, or at the other end of a tunnel.
	Loopback bool
	// Describe asks the engine what it is. It is called while the first containers
	// are being started, and again where a temporary network's subnet is in doubt.
	Describe func(context.Context) (connection.Description, error)
	// AgentImage puts the image of the built-in server on the engine, if it is
	// not there yet, and returns its reference.
	AgentImage func(context.Context) (string, error)
	// AgentBinary returns the agent itself, to be put into a container of a
	// user's image. The agent has no need of it.
	AgentBinary func(context.Context) ([]byte, error)
	// RegistryAuth returns what the user is logged in with at an image's registry,
	// encoded as the API's X-Registry-Auth header. It is called for an image that is
	// to be pulled, and no sooner: it may start a program of the user's.
	RegistryAuth func(image string) (string, error)
}

// RequestRegistryAuth is RegistryAuth for as long as ctx lasts: a program that it starts may
// wait for its user, and that one may give up.
func (e Engine) RequestRegistryAuth(ctx context.Context, image string) (string, error) {
	type answer struct {
		auth string
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // may outlive ctx
		auth, err := e.RegistryAuth(image)
		answers <- answer{auth, err}
	}()
	select {
	case a := <-answers:
		return a.auth, a.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
