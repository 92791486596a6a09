package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.EndpointIsLoopback, noLevel, definition{title: "The endpoint is a loopback address, which leads a container to itself"})
