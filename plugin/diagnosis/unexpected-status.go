package diagnosis

import (
	"net/http"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var UnexpectedStatus = define("unexpected-status", badAnswer, definition{
	title:    "The server answered with another status than expected",
	hint:     "the server is reached: choose a path that the server serves, or expect the status that it sends",
	explains: []report.Cause{UnexpectedBody},
	second:   true, // without one: a gateway's answer says more
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		gateway := []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
		if report.Cause(r.Failure) != unexpectedStatus {
			return nil
		}
		if !slices.Contains(gateway, r.Status) {
			return answeredOtherwise(r)
		}
		fault := because("%s says that the server is a proxy whose backend does not answer, or is not ready", evidence.AnsweredWith(r.Status))
		suggest(fault, "the server is reached: find out why what is behind it does not answer; or choose another path, or expect this status")
		if !c.Server.StartedByUs && !c.Server.Host {
			fault.Commands = []string{commandFor(c.Server, "docker logs")}
		}
		return fault
	},
})

// maxBody bounds what is quoted of a body, in bytes: a line.
const maxBody = 100

// answeredOtherwise is the fault of a server that answers another status for a reason of its
// own.
func answeredOtherwise(r evidence.Row) *report.Fault {
	fault := &report.Fault{}
	if body := strings.TrimSpace(r.Body); body != "" {
		also(fault, "its body begins with %s", netprobe.Visible(body, maxBody))
	}
	switch {
	case r.Status == http.StatusUnauthorized:
		suggest(fault, "the server is reached: it asks for credentials, so send them in a header, or expect this status")
	case r.Status >= 300 && r.Status < 400:
		suggest(fault, "the server is reached: it sends clients on to another address, so probe that one, or expect this status")
	}
	return fault
}

const unexpectedStatus report.Cause = "unexpected-status"
