package mode

import "github.com/nestprobe/docker-nestprobe/plugin/experiment"

// internal is a network that is routed nowhere; publishing is ignored on it.
func internal() Mode {
	return Mode{
		Name:    "internal",
		About:   "a bridge network that is cut off from the outside",
		Connect: temporary(experiment.TemporaryNetwork{Driver: "bridge", Internal: true}),
	}
}
