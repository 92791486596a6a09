package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.EndpointMalformed, noLevel, definition{title: "The endpoint is written in a form that leads to no engine"})
