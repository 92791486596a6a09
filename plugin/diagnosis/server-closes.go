package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ServerCloses holds if the server's first bytes refuse to serve the client, or if the
// witness saw the server close the connection.
var ServerCloses = define("server-closes", badAnswer, definition{
	title: "The server accepts the connection, then refuses or closes it",
	hint:  "the server is reached, and its own words say why it refuses: configure it to accept clients from other addresses, or free connections if they are too many",
	rule: func(c *vantageCase, r row) *report.Fault {
		switch seen := c.seen(r); {
		case r.Failure == netprobe.Denied:
			return &report.Fault{} // the row quotes the server
		case !closed(r.Failure) || len(c.Server.PublishedBy) > 0, seen != facts.SeenClosed && seen != facts.SeenAccepted:
			return nil
		}
		fault := because("the connection to %s arrived at the server, which closed it without a word", r.Address)
		fault.Evidence = append(fault.Evidence, c.Server.Log...)
		fault.Hint = "the server itself closes the connection: find the reason in its log, such as a list of allowed clients, or a protocol in which the client speaks first"
		if !c.Server.StartedByUs && !c.Server.Host {
			fault.Commands = []string{commandFor(c.Server, "docker logs")}
		}
		return fault
	},
})
