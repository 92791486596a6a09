package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var WrongServer = define("wrong-server", addressOnly, definition{
	title:       "Another server answered at this address",
	hint:        "do not use this address: publish the port on a host address and port that no other server uses",
	whenReached: report.SeverityWarning, // this address does not only fail: it misleads
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		switch {
		case r.Failure != netprobe.WrongServer:
			return nil
		case c.Seen(r) == facts.SeenNothing:
			fault := because("a connection to %s does not arrive at the server", r.Address)
			fault.Evidence = append(fault.Evidence, c.Vantage.Answerers...)
			return fault
		default:
			return &report.Fault{Evidence: c.Vantage.Answerers}
		}
	},
})
