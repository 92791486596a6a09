package diagnosis

import (
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// maxPaths bounds how many Unix sockets are listed: as many as a line holds.
const maxPaths = 5

var ServerNotReady = define("server-not-ready", serverState, definition{
	title:   "Nothing listens on the server's port yet",
	needs:   listeners,
	shownBy: ListenersCheck,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		_, otherHost := c.OnAnotherHost(r)
		switch {
		case c.portOfAnother(r):
			return c.portTaken()
		case c.meantInstead():
			return nil
		case otherHost || !c.IsToServer(r) || !c.Server.Listeners.None(c.Server.Port):
			return nil
		case len(c.Server.PublishedBy) > 0:
			return nil // an engine without docker-proxy listens on no port that it publishes
		case c.Server.Host:
			fault := because("nothing listens on port %d of the host", c.Server.Port)
			fault.Hint = "start the server, and check that it uses this port"
			fault.Commands = []string{"ss -ltnp"}
			return fault
		default:
			return c.notReady()
		}
	},
})

// portOfAnother says whether another process has the server's port in the network that its
// container shares with others.
func (c *vantageCase) portOfAnother(r evidence.Row) bool {
	s := c.Server
	shares := !s.Host && (s.HostNetwork || s.NetworkOf != "")
	return shares && s.Listeners.None(s.Port) && !s.Listeners.Unowned && len(s.Queues) > 0 &&
		(r.Failure == netprobe.WrongServer || c.IsToServer(r))
}

func (c *vantageCase) portTaken() *report.Fault {
	s := c.Server
	fault := because("no process of container %s listens on port %d, and another process does in the network that it shares", s.Name, s.Port)
	fault.Title = "Another process has the server's port"
	fault.Evidence = append(fault.Evidence, c.Vantage.Answerers...)
	fault.Evidence = append(fault.Evidence, s.Log...)
	suggest(fault, "have the server listen on another port, or end the other process: in one network, each port is for one of them")
	fault.Commands = []string{commandFor(s, "docker logs")}
	return fault
}

func (c *vantageCase) notReady() *report.Fault {
	s := c.Server
	fault := because("the container runs, and nothing listens on port %d in it", s.Port)
	if paths := s.Listeners.Unix; len(paths) > 0 && !s.HostNetwork {
		also(fault, "it listens on Unix sockets: %s", strings.Join(paths[:min(len(paths), maxPaths)], ", "))
	}
	if len(s.Listeners.UDP) > 0 && !s.HostNetwork {
		also(fault, "UDP sockets receive at %s", evidence.Join(s.Listeners.UDP[:min(len(s.Listeners.UDP), maxPaths)]))
	}
	if s.HostNetwork {
		fault.Evidence = append(fault.Evidence, c.Vantage.Answerers...)
	}
	fault.Evidence = append(fault.Evidence, s.Log...)
	if s.StartedByUs { // and removed before a log can be read
		fault.Hint = "give it more time; if that does not help, start it with docker run and read its log"
		return fault
	}
	fault.Hint = "give it more time, or read its log"
	if len(s.Listeners.Unix) > 0 && !s.HostNetwork {
		suggest(fault, "have the server listen on TCP port %d, not only on a Unix socket; if it is still starting, give it more time", s.Port)
	}
	fault.Commands = []string{commandFor(s, "docker logs")}
	return fault
}
