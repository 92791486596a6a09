package mode

import "github.com/nestprobe/docker-nestprobe/plugin/experiment"

// several are two networks at once: the published port leads to one of the
// server's addresses, and which one is the engine's choice.
func several() Mode {
	bridge := experiment.TemporaryNetwork{Driver: "bridge"}
	return Mode{
		Name:    "several",
		About:   "two bridge networks at once",
		Connect: temporary(bridge, bridge),
	}
}
