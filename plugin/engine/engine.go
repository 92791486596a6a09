// Package engine holds what nestprobe makes on an engine and removes again: the
// agent's image, containers, networks, their labels and leases, and leftovers of
// earlier runs. Every package that starts a container calls it. It must not know which
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
	// Describe returns what the engine says of itself. It is called while the first
	// containers are being started, and again if a temporary network may need another
	// subnet.
	Describe func(context.Context) (connection.Description, error)
	// AgentImage loads the agent's image on the engine, if it is not there yet, and
	// returns its reference.
	AgentImage func(context.Context) (string, error)
	// AgentBinary returns the agent's program, to be copied into a container of the
	// user's image. It is nil in the agent, which starts no such container.
	AgentBinary func(context.Context) ([]byte, error)
	// RegistryAuth returns the user's credentials for an image's registry, encoded as
	// the API's X-Registry-Auth header. It is called only before a pull, since it may
	// start a credential helper.
	RegistryAuth func(image string) (string, error)
}

// RequestRegistryAuth calls RegistryAuth and returns when that does or ctx ends: a
// credential helper may wait for the user, who may interrupt.
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
