package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.ContextBroken, noLevel, definition{title: "The docker context does not exist, or its files are damaged"})
