package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ServerCloses holds if the server's first bytes refuse to serve the client, before it
// has asked for anything, or if the witness saw the server close the connection.
var ServerCloses = define("server-closes", badAnswer, definition{
	title:  "The server accepts the connection, then refuses or closes it",
	hint:   "the server is reached, and its own words say why it refuses: configure it to accept clients from other addresses, or free connections if they are too many",
	second: true,
	rule: func(c *vantageCase, r row) *report.Fault {
		if r.Failure == netprobe.Denied {
			return &report.Fault{} // the row quotes the server
		}
		for _, a := range c.asked(r, netprobe.AskListen) {
			if a.Result.Failure == netprobe.Denied {
				return because("with nothing sent: %s", a.Result.Detail)
			}
		}
		if seen := c.seen(r); !closed(r.Failure) || seen != facts.SeenClosed && seen != facts.SeenAccepted {
			return nil
		}
		return c.closesWordless(r)
	},
})

// closesWordless is the fault of a server that closes the connection without an answer.
func (c *vantageCase) closesWordless(r row) *report.Fault {
	fault := because("the connection to %s arrived at the server, which closed it without a response", r.Address)
	fault.Evidence = append(fault.Evidence, c.Server.Log...)
	fault.Hint = "the server itself closes the connection: find the reason in its log, such as a list of allowed clients, or a protocol in which the client speaks first"
	if !c.Server.StartedByUs && !c.Server.Host {
		fault.Commands = []string{commandFor(c.Server, "docker logs")}
	}
	return fault
}
