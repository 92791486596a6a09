package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"

var _ = define(connection.DockerSocketPerm, noLevel, definition{title: "This user may not open the Docker socket"})
