package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.TLSNotExpected, noLevel, definition{title: "The endpoint is set to TLS, but the engine speaks plain HTTP"})
