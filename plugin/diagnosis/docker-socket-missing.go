package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.DockerSocketMissing, noLevel, definition{title: "There is no Docker socket where the endpoint says"})
