package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

const UnexpectedStatus report.Cause = "unexpected-status"

var _ = define(UnexpectedStatus, definition{
	title:    "The server answered with another status than expected",
	hint:     "the server is reached: choose a path that the server serves, or expect the status that it sends",
	level:    badAnswer,
	explains: []report.Cause{UnexpectedBody},
	answer:   true,
})
