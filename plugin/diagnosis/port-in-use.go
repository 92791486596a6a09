package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

const PortInUse report.Cause = "port-in-use"

var _ = define(PortInUse, definition{title: "The host port is already taken"})
