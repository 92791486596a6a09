package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.APIVersionUnsupported, noLevel, definition{title: "The engine and this client have no API version in common"})
