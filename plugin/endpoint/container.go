package endpoint

import "github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/process"

// InContainer says whether this process runs in a container, whose addresses are not those
// of the machine.
func InContainer() bool { return process.InContainer() }
