package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.EngineUnreachable, noLevel, definition{title: "No engine can be reached at the Docker endpoint"})
