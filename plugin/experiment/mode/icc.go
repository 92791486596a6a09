package mode

import "github.com/nestprobe/docker-nestprobe/plugin/experiment"

// noICC is a bridge whose containers may not talk to one another, as dockerd
// --icc=false makes the default one (moby, libnetwork/drivers/bridge, EnableICC).
func noICC() Mode {
	return Mode{
		Name:  "icc-off",
		About: "a bridge network with --icc=false",
		Connect: temporary(experiment.TemporaryNetwork{
			Driver:  "bridge",
			Options: map[string]string{"com.docker.network.bridge.enable_icc": "false"},
		}),
	}
}
