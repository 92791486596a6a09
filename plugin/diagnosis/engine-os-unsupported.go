package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

const EngineOSUnsupported report.Cause = "engine-os-unsupported"

var _ = define(EngineOSUnsupported, definition{title: "The engine runs containers of an OS or CPU that has no agent"})
