package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.ClockSkew, noLevel, definition{title: "The clocks of this machine and of the engine's differ"})
