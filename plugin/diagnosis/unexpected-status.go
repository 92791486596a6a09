package diagnosis

import (
	"net/http"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var UnexpectedStatus = define("unexpected-status", badAnswer, definition{
	title:    "The server answered with another status than expected",
	hint:     "the server is reached: choose a path that the server serves, or expect the status that it sends",
	explains: []report.Cause{UnexpectedBody},
	second:   true, // without one: a gateway's answer says more
	rule: func(c *vantageCase, r row) *report.Fault {
		gateway := []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
		if report.Cause(r.Failure) != unexpectedStatus || !slices.Contains(gateway, r.Status) {
			return nil
		}
		fault := because("%s says that the server is a proxy whose backend does not answer, or is not ready", answeredWith(r.Status))
		suggest(fault, "the server is reached: find out why what is behind it does not answer; or choose another path, or expect this status")
		if !c.Server.StartedByUs && !c.Server.Host {
			fault.Commands = []string{commandFor(c.Server, "docker logs")}
		}
		return fault
	},
})

const unexpectedStatus report.Cause = "unexpected-status"
