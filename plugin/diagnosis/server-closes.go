package diagnosis

import (
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ServerCloses holds if the server's first bytes refuse to serve the client, before any
// request, or if the witness saw the server close the connection.
var ServerCloses = define("server-closes", badAnswer, definition{
	title:  "The server accepts the connection, then refuses or closes it",
	hint:   "the server is reached, and its own words say why it refuses: configure it to accept clients from other addresses, or free connections if they are too many",
	second: true,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		if r.Failure == netprobe.Denied {
			return &report.Fault{} // the row quotes the server
		}
		for _, a := range c.Asked(r, netprobe.AskListen) {
			if a.Result.Failure == netprobe.Denied {
				return because("with nothing sent: %s", a.Result.Detail)
			}
		}
		for _, a := range c.Asked(r, netprobe.AskLonger) {
			if evidence.Closed(a.Result.Failure) && c.accepts(r) {
				return c.closesWithoutResponse(because("given up to %s, the connection to %s was accepted, and closed without a response after %s",
					a.Limit(), a.Address, a.Result.Timings.Total.Round(10*time.Millisecond)))
			}
		}
		if seen := c.Seen(r); !evidence.Closed(r.Failure) || seen != facts.SeenClosed && seen != facts.SeenAccepted {
			return nil
		}
		return c.closesWithoutResponse(because("the connection to %s arrived at the server, which closed it without a response", r.Address))
	},
})

// closesWithoutResponse completes the fault of a server that closes the connection without an
// answer.
func (c *vantageCase) closesWithoutResponse(fault *report.Fault) *report.Fault {
	fault.Evidence = append(fault.Evidence, c.Server.Log...)
	fault.Hint = "the server itself closes the connection: find the reason in its log, such as a list of allowed clients, or that the server expects another protocol than the one it was probed with"
	if !c.Server.StartedByUs && !c.Server.Host {
		fault.Commands = []string{commandFor(c.Server, "docker logs")}
	}
	return fault
}
