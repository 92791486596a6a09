package diagnosis

var ServerExited = define("server-exited", noLevel, definition{title: "The server exited before it answered"})
