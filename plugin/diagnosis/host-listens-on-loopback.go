package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var HostListensOnLoopback = define("host-listens-on-loopback", serverState, definition{
	title:   "The server on the host listens only on loopback",
	hint:    "have it listen on the gateway of the containers' network, or on 0.0.0.0, which opens it to the network of the host too; only the host names of engines in a VM, such as Docker Desktop, Colima and OrbStack, lead to loopback",
	needs:   listeners,
	shownBy: ListenersCheck,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		s := c.Server
		if !c.IsToServer(r) || !s.Host && !c.sharesHost() || len(s.PublishedBy) > 0 || !s.Listeners.OnlyLoopback(s.Port) {
			return nil
		}
		fault := because("on the host, %s", evidence.OnlyListeners(s))
		if !s.Host {
			also(fault, "container %s has --network host, so its loopback is that of the host", s.Name)
		}
		return fault
	},
})

// sharesHost says whether the server is in a container that shares the network of the
// engine's host, which is no VM, and the vantage is another container.
func (c *vantageCase) sharesHost() bool {
	return c.Server.HostNetwork && c.Vantage.Container && !c.Engine.NetworksElsewhere()
}
