package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.TLSRequired, noLevel, definition{title: "The engine requires TLS, but the endpoint is set to plain HTTP"})
