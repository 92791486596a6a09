package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

const WrongServer report.Cause = "wrong-server"

var _ = define(WrongServer, definition{
	title:       "Another server answered at this address",
	hint:        "do not use this address: publish the port on a host address and port that no other server uses",
	level:       addressOnly,
	whenReached: report.SeverityWarning, // this address does not only fail: it misleads
	answer:      true,
})
