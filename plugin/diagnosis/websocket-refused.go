package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

const WebSocketRefused report.Cause = "websocket-refused"

var _ = define(WebSocketRefused, definition{
	title:  "The server did not switch to WebSocket",
	hint:   "the server is reached over HTTP: choose the path at which it accepts WebSockets, or probe it without WebSocket",
	level:  badAnswer,
	answer: true,
})
