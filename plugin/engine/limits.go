package engine

import (
	"context"
	"regexp"
	"slices"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"
)

// Limits of a container with the agent, so that a hostile answer takes nothing from the other
// containers of the engine. A prober with 50 addresses used 30 MB and 12 threads.
const (
	agentMemory = 256 << 20 // bytes
	agentPids   = 256       // processes and threads
)

// AgentLimits returns the limits of a container with the agent. Most engines ignore limits
// that they cannot set; for the others, see [Engine.StartLimited].
func AgentLimits() container.Resources {
	return container.Resources{Memory: agentMemory, PidsLimit: new(int64(agentPids))}
}

// limitRefused is the error of an engine whose runtime cannot limit memory or processes, since
// the cgroups of its user have no controller for them: crun's (libcrun/cgroup-resources.c and
// cgroup-utils.c) and runc's (libcontainer/process_linux.go and cgroups/file.go), with cgroups
// of version 2.
var limitRefused = regexp.MustCompile("open `(memory|pids)\\.max`|controller `(memory|pids)` is not available|cannot set (memory|pids) limit|/(memory|pids)\\.max: no such file")

// StartLimited starts a container with limits, or without if the engine cannot set them. The
// function start creates and starts it, and returns its lease, if it has one. The container
// publishes the ports.
func (e Engine) StartLimited(ctx context.Context, name string, ports nat.PortMap, start func(limited bool) (*Lease, error)) error {
	if e.lacksLimits(ctx, ports) {
		_, err := start(false)
		return err
	}
	lease, err := start(true)
	if err == nil || !limitRefused.MatchString(err.Error()) {
		return err
	}
	if err := RemoveContainer(ctx, e.API, name, lease); err != nil {
		return err
	}
	_, err = start(false)
	return err
}

// lacksLimits says whether the engine is known to have no limits. It looks only if a second
// start could not repeat the first one: after a start that has failed, Podman holds the ports
// for some time, so that those are taken that the user has chosen.
func (e Engine) lacksLimits(ctx context.Context, ports nat.PortMap) bool {
	if !e.isPodman() || !hasChosen(ports) {
		return false
	}
	info, err := e.API.Info(ctx)
	return err == nil && (!info.MemoryLimit || !info.PidsLimit) // an error returns with the next call
}

// hasChosen says whether the user has chosen one of the host ports.
func hasChosen(ports nat.PortMap) bool {
	for _, bindings := range ports {
		if slices.ContainsFunc(bindings, func(b nat.PortBinding) bool { return b.HostPort != "" && b.HostPort != "0" }) {
			return true
		}
	}
	return false
}
