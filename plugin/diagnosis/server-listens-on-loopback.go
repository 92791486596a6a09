package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var ServerListensOnLoopback = define("server-listens-on-loopback", serverState, definition{
	title:   "The server listens only on loopback in its container",
	hint:    "have the server listen on 0.0.0.0 inside its container: its loopback cannot be reached from outside",
	needs:   listeners,
	shownBy: ListenersCheck,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		s := c.Server
		if !c.IsToServer(r) || s.HostNetwork || !s.Listeners.OnlyLoopback(s.Port) {
			return nil
		}
		return because("in the container, %s", evidence.OnlyListeners(s))
	},
})
