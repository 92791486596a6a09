package mode

import "github.com/nestprobe/docker-nestprobe/plugin/experiment"

// dualStack is a bridge with addresses of both families.
func dualStack() Mode {
	return Mode{
		Name:    "dual-stack",
		About:   "a bridge network with IPv4 and IPv6",
		Connect: temporary(experiment.TemporaryNetwork{Driver: "bridge", IPv6: true}),
	}
}

// ipv6Only is a bridge without IPv4.
func ipv6Only() Mode {
	return Mode{
		Name:    "ipv6-only",
		About:   "a bridge network with IPv6 alone",
		Connect: temporary(experiment.TemporaryNetwork{Driver: "bridge", IPv6: true, NoIPv4: true}),
	}
}
