package mode

import "github.com/nestprobe/docker-nestprobe/plugin/experiment"

// userBridge is a network as docker network create makes it, with names for its
// containers.
func userBridge() Mode {
	return Mode{
		Name:    "user-bridge",
		About:   "a bridge network of one's own",
		Connect: temporary(experiment.TemporaryNetwork{Driver: "bridge"}),
	}
}
