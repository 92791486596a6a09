package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

var ServerListensElsewhere = define("server-listens-elsewhere", serverState, definition{
	title:    "The server listens on another port or address",
	hint:     listenEverywhere,
	explains: []report.Cause{ServerNotReady},
	needs:    listeners,
	shownBy:  ListenersCheck,
	rule: func(c *vantageCase, r row) *report.Fault {
		switch {
		case nothingOnPort(c.Server):
			return c.otherPort(r)
		case c.notOnAddress(r) && !c.forwarderCloses():
			return because("%s", unservedAddresses(c.Server))
		default:
			return nil
		}
	},
})

// otherPort is the fault of a server with sockets on other ports only.
func (c *vantageCase) otherPort(r row) *report.Fault {
	s := c.Server
	others := s.Listeners.Elsewhere(s.Port)
	if !c.isToServer(r) || s.Host || len(others) == 0 {
		return nil
	}
	fault := because("in the container, nothing listens on port %d, but there are listeners at %s", s.Port, join(others))
	suggest(fault, "use the port that the server listens on (%d), or have it listen on %d", others[0].Port(), s.Port)
	if len(s.Bindings) > 0 {
		fault.Commands = command("docker run --publish %s ...", s.Bindings[0].Publish(others[0].Port()))
	}
	return fault
}
