package mode

import "github.com/nestprobe/docker-nestprobe/plugin/experiment"

// overlay is a network over the nodes of a Swarm, open to containers that are no
// service's.
func overlay() Mode {
	return Mode{
		Name:    "overlay",
		About:   "an attachable network of a Swarm",
		Connect: temporary(experiment.TemporaryNetwork{Driver: "overlay"}),
	}
}
