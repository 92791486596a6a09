package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.APIForbidden, noLevel, definition{title: "A call of the Docker API is forbidden"})
