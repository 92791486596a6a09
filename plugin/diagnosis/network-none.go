package diagnosis

import (
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var NetworkNone = define("network-none", serverState, definition{
	title:    "The container has no network except loopback",
	hint:     "leave out --network, or name one that has addresses",
	explains: []report.Cause{HostListensOnLoopback},
	everyRow: true,
	rule: func(c *vantageCase, _ row) *report.Fault {
		s, v := c.Server, c.vantage
		switch {
		case s.NoNetwork:
			return because("container %s is on the network none, which has only loopback", s.Name)
		case v.Detached != "":
			return Detached(strings.TrimPrefix(v.Name, "container:"), v.Detached, false)
		case v.NoNetwork:
			return because("container %s is on the network none, which has only loopback", v.Name)
		default:
			return nil
		}
	},
})

// Detached is about a container that was disconnected from each of its networks while it
// ran. When it is connected again, its published ports come back. The network is the one
// that it was started on, which may be gone.
func Detached(container, network string, gone bool) *report.Fault {
	fault := because("container %s is on no network, although it was started on %s", container, network)
	fault.Cause, fault.Hint = "network-none", "connect it to a network"
	fault.Commands = command("docker network connect %s %s", network, container)
	if gone {
		also(fault, "there is no network %s any more", network)
		fault.Commands = slices.Insert(fault.Commands, 0, "docker network create "+network)
	}
	return fault
}
