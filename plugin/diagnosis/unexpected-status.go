package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

var UnexpectedStatus = define("unexpected-status", badAnswer, definition{
	title:    "The server answered with another status than expected",
	hint:     "the server is reached: choose a path that the server serves, or expect the status that it sends",
	explains: []report.Cause{UnexpectedBody},
})
