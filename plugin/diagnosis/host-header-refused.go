package diagnosis

import (
	"strconv"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// HostHeaderRefused holds if the server gives the expected answer at the same address as
// soon as the request names another host.
var HostHeaderRefused = define("host-header-refused", badAnswer, definition{
	title:    "The server does not serve the host that the request names",
	explains: []report.Cause{UnexpectedStatus},
	needs:    secondAnswers,
	second:   true,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		for _, a := range c.Asked(r, netprobe.AskHost) {
			if !a.Result.OK {
				continue
			}
			fault := because("with %s, the answer at %s is %s", strconv.Quote("Host: "+a.Host), a.Address, evidence.AnsweredWith(a.Result.Status))
			also(fault, "without it, the answer is %s", evidence.AnsweredWith(r.Status))
			suggest(fault, "send a Host header that the server accepts, such as %s, or add the host to those that it serves "+
				"(Vite server.allowedHosts, webpack allowedHosts, Django ALLOWED_HOSTS, Rails config.hosts, nginx server_name)", strconv.Quote("Host: "+a.Host))
			return fault
		}
		return nil
	},
})
