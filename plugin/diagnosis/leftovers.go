package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

const Leftovers report.Cause = "leftovers"

var _ = define(Leftovers, definition{title: "An earlier nestprobe left containers or networks behind"})
