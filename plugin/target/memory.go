package target

import (
	"context"
	"fmt"

	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// addMemory adds to the fault of a container that the kernel has killed its memory limit,
// and the commands that raise it. With the same limit it would be killed again.
func (r *run) addMemory(ctx context.Context, response container.InspectResponse, fault *report.Fault) {
	host := response.HostConfig
	if host == nil || host.Memory <= 0 {
		fault.Evidence = append(fault.Evidence, "it has no memory limit of its own, so the engine's host ran out of memory, or a limit of all containers was reached")
		fault.Hint = "free memory on the engine's host, or reduce what the server needs, and start it again"
		return
	}
	fault.Evidence = append(fault.Evidence, "its memory limit is "+bytesOption(host.Memory))
	fault.Hint = "give the container more memory, for example twice as much, or reduce what the server needs: with this limit it is killed again"
	options := "--memory " + bytesOption(2*host.Memory)
	switch {
	case host.MemorySwap < 0:
		options += " --memory-swap -1"
	case host.MemorySwap > 0: // memory and swap together, which the engine compares with the new limit
		options += " --memory-swap " + bytesOption(host.MemorySwap+host.Memory)
	}
	if r.isPodman(ctx) { // it has no such request before 5.0
		fault.Commands = append(fault.Commands, recreateCommands(response, "docker rm -f", shell.Text(options))...)
		return
	}
	fault.Commands = append(fault.Commands, shell.Line("docker update %s %s", shell.Text(options), facts.ContainerName(response)))
}

// bytesOption is a number of bytes as docker's options take it.
func bytesOption(n int64) string {
	const mebibyte = 1 << 20
	if n%mebibyte == 0 {
		return fmt.Sprintf("%dm", n/mebibyte)
	}
	return fmt.Sprintf("%db", n)
}

// isPodman says whether the engine is known to be Podman. Faults that need no probes are
// found before the engine is described.
func (r *run) isPodman(ctx context.Context) bool {
	described := r.description
	if described.Endpoint.Engine.Product == "" && r.engine.Describe != nil {
		described, _ = r.engine.Describe(ctx) // what it returns with an error is enough
	}
	return facts.NewEngine("", false, described.Endpoint.Engine).Podman
}
