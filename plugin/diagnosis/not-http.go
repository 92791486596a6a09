package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

const NotHTTP report.Cause = "not-http"

var _ = define(NotHTTP, definition{
	title:  "The server does not speak HTTP",
	hint:   "the server speaks another protocol on this port: choose its HTTP port, or probe it over plain TCP",
	level:  badAnswer,
	answer: true,
})
