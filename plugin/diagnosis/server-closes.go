package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ServerCloses holds if the server's first bytes refuse to serve the client.
var ServerCloses = define("server-closes", badAnswer, definition{
	title: "The server accepts the connection, then refuses or closes it",
	hint:  "the server is reached, and its own words say why it refuses: configure it to accept clients from other addresses, or free connections if they are too many",
	rule: func(_ *vantageCase, r row) *report.Fault {
		if r.Failure != netprobe.Denied {
			return nil
		}
		return &report.Fault{} // the row quotes the server
	},
})
