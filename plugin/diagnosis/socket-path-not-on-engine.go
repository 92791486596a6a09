package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.SocketPathNotOnEngine, definition{title: "The path of the Docker socket holds no socket"})
