package mode

import "github.com/nestprobe/docker-nestprobe/plugin/experiment"

// bridge is where a container is that names no network.
func bridge() Mode {
	return Mode{
		Name:    "bridge",
		About:   "the engine's default network",
		Connect: func(*experiment.Spec, Settings) {},
	}
}
