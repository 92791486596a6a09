package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

var WrongServer = define("wrong-server", addressOnly, definition{
	title:       "Another server answered at this address",
	hint:        "do not use this address: publish the port on a host address and port that no other server uses",
	whenReached: report.SeverityWarning, // this address does not only fail: it misleads
})
