package mode

import "github.com/nestprobe/docker-nestprobe/plugin/experiment"

// mtuOfVPNs is the MTU of WireGuard's links, for which people lower that of their
// networks (wireguard-tools, wg-quick: 1420 bytes).
const mtuOfVPNs = "1420"

// mtu is a bridge for packets smaller than the default.
func mtu() Mode {
	return Mode{
		Name:  "mtu",
		About: "a bridge network with an MTU of " + mtuOfVPNs,
		Connect: temporary(experiment.TemporaryNetwork{
			Driver:  "bridge",
			Options: map[string]string{"com.docker.network.driver.mtu": mtuOfVPNs},
		}),
	}
}
