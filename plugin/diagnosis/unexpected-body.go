package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

const UnexpectedBody report.Cause = "unexpected-body"

var _ = define(UnexpectedBody, definition{
	title:  "The server answered with another body than expected",
	hint:   "the server is reached, and sends another text: choose another path, or expect a text that it sends",
	level:  badAnswer,
	answer: true,
})
