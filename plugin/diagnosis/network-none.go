package diagnosis

import (
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

var NetworkNone = define("network-none", serverState, definition{
	title:    "The container has no network except loopback",
	hint:     "leave out --network, or name one that has addresses",
	explains: []report.Cause{HostListensOnLoopback},
	everyRow: true,
	rule: func(c *vantageCase, _ evidence.Row) *report.Fault {
		s, v := c.Server, c.Vantage
		switch {
		case s.NoNetwork:
			fault := because("container %s is on the network none, which has only loopback", s.Name)
			return c.leaveNone(fault, s.Name, !s.StartedByUs)
		case v.Detached != "":
			return Detached(strings.TrimPrefix(v.Name, "container:"), v.Detached, false)
		case v.NoNetwork:
			name, given := strings.CutPrefix(v.Name, "container:")
			return c.leaveNone(because("%s is on the network none, which has only loopback", v.Place()), name, given)
		default:
			return nil
		}
	},
})

// leaveNone adds what to do. A container that has not been started for this run can be
// connected to a network when it has left the network none. Podman has no such network, so
// the container has to be created anew.
func (c *vantageCase) leaveNone(fault *report.Fault, container string, stays bool) *report.Fault {
	switch {
	case !stays:
		fault.Commands = command("docker run --network NETWORK ...")
	case c.Engine.Podman:
		fault.Hint = "create the container anew on a network"
		fault.Commands = []string{
			shell.Line("docker rm -f %s", container),
			shell.Line("docker run --name %s --network NETWORK ...", container),
		}
	default:
		fault.Hint = "start the container without --network none; or, if it is no sandbox, connect it to a network"
		fault.Commands = []string{
			shell.Line("docker network disconnect none %s", container),
			shell.Line("docker network connect NETWORK %s", container),
		}
	}
	return fault
}

// Detached is about a container that was disconnected from each of its networks while it
// ran. When it is connected again, its published ports come back. The network is the one
// that it was started on, which may be gone.
func Detached(container, network string, gone bool) *report.Fault {
	fault := because("container %s is on no network, although it was started on %s", container, network)
	fault.Cause, fault.Hint = "network-none", "connect it to a network"
	fault.Commands = command("docker network connect %s %s", network, container)
	if gone {
		also(fault, "there is no network %s any more", network)
		fault.Commands = slices.Insert(fault.Commands, 0, shell.Line("docker network create %s", network))
	}
	return fault
}
