package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

const ServerExited report.Cause = "server-exited"

var _ = define(ServerExited, definition{title: "The server exited before it answered"})
