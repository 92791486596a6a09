package mode

import "github.com/nestprobe/docker-nestprobe/plugin/experiment"

// bridge is where a container is that names no network. A peer there has no name
// for the server.
func bridge() Mode {
	return Mode{
		Name:    "bridge",
		About:   "the engine's default network",
		Connect: func(Settings) experiment.Connection { return experiment.Connection{Peer: true} },
	}
}
