package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.SocketPathNotOnEngine, noLevel, definition{title: "The path of the Docker socket holds no socket"})
