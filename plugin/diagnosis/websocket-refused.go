package diagnosis

var WebSocketRefused = define("websocket-refused", badAnswer, definition{
	title: "The server did not switch to WebSocket",
	hint:  "the server is reached over HTTP: choose the path at which it accepts WebSockets, or probe it without WebSocket",
})
