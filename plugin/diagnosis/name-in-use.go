package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

const NameInUse report.Cause = "name-in-use"

var _ = define(NameInUse, definition{title: "The name is already taken"})
