package target

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// labelConfigFiles is set by Compose on its containers, as LabelService is.
const labelConfigFiles = "com.docker.compose.project.config_files"

// StaleNetworkFault is about a running container that shares the network of another one
// (docker run --network container:NAME) which has been stopped, restarted or removed since.
// The engine gives the other one a new network namespace at each start, and the container
// keeps the old one, in which only loopback is left. It is nil for any other container.
func StaleNetworkFault(ctx context.Context, api facts.Inspector, response container.InspectResponse) (*report.Fault, error) {
	if response.HostConfig == nil || !response.HostConfig.NetworkMode.IsContainer() || !facts.ReadContainer(response, 0).Running {
		return nil, nil
	}
	id := response.HostConfig.NetworkMode.ConnectedContainer()
	owner, err := facts.InspectContainer(ctx, api, id)
	if errdefs.IsNotFound(err) {
		return goneOwnerFault(response, id), nil
	}
	if err != nil || owner.State == nil {
		return nil, err
	}
	name, ownerName := facts.ContainerName(response), facts.ContainerName(owner)
	shares := fmt.Sprintf("container %s shares the network of container %s", name, ownerName)
	started, known := startedAt(response)
	ownerStarted, ownerKnown := startedAt(owner)
	switch {
	case owner.State.Restarting:
		return &report.Fault{
			Cause:    diagnosis.NetworkNamespaceStale,
			Evidence: []string{fmt.Sprintf("%s, which exits and is restarted again and again, the last time with code %d", shares, owner.State.ExitCode)},
			Hint:     fmt.Sprintf("find in the log of %s why it exits; when it runs, restart %s", ownerName, name),
			Commands: []string{logsCommand(ownerName), restartCommand(name)},
		}, nil
	case !owner.State.Running:
		return &report.Fault{
			Cause:    diagnosis.NetworkNamespaceStale,
			Evidence: []string{fmt.Sprintf("%s, which does not run: it is %s, with exit code %d", shares, owner.State.Status, owner.State.ExitCode)},
			Hint:     fmt.Sprintf("start %s, and restart %s after it", ownerName, name),
			Commands: []string{startCommand(ownerName), restartCommand(name)},
		}, nil
	case known && ownerKnown && started.Before(ownerStarted):
		return &report.Fault{
			Cause: diagnosis.NetworkNamespaceStale,
			Evidence: []string{
				fmt.Sprintf("%s, which was restarted after it: %s was started at %s, and %s at %s", shares, name, response.State.StartedAt, ownerName, owner.State.StartedAt),
				fmt.Sprintf("the addresses and published ports of %s lead to its new network, and %s is still in the old one, which has only loopback", ownerName, name),
			},
			Hint:     fmt.Sprintf("restart %s: it joins the network that %s has now", name, ownerName),
			Commands: []string{restartCommand(name)},
		}, nil
	default:
		return nil, nil
	}
}

// leftBehind is about a container that shares the network of the target and is still in the one
// that the target had before it was restarted, so that nothing listens at the target; nil if
// there is none. What cannot be read is left out.
func (r *run) leftBehind(ctx context.Context) *report.Fault {
	s := r.known.Server
	if s.Listeners == nil || !s.Listeners.None(s.Port) || r.known.NetworkOf != "" || s.HostNetwork {
		return nil
	}
	all, _ := engine.ListContainers(ctx, r.reader, filters.NewArgs())
	for _, c := range all {
		if c.HostConfig.NetworkMode != "container:"+r.known.Container.ID {
			continue
		}
		if response, err := facts.InspectContainer(ctx, r.reader, c.ID); err == nil {
			if fault, err := StaleNetworkFault(ctx, r.reader, response); err == nil && fault != nil {
				return fault
			}
		}
	}
	return nil
}

// goneOwnerFault is about a container whose network was that of a container that has been
// removed. The engine knows the other one by its id, so a new container with its name does
// not help.
func goneOwnerFault(response container.InspectResponse, id string) *report.Fault {
	name := facts.ContainerName(response)
	return &report.Fault{
		Cause:    diagnosis.NetworkNamespaceStale,
		Evidence: []string{fmt.Sprintf("container %s shares the network of a container that is gone: the engine has no container %s", name, shortID(id))},
		Hint:     fmt.Sprintf("create the container that gives the network anew, then create %s anew: a restart would look for the one that is gone", name),
		Commands: recreateCommands(response, "docker rm -f", "--network container:CONTAINER"),
	}
}

// shortIDLength is how much of an id docker prints.
const shortIDLength = 12

func shortID(id string) string { return id[:min(len(id), shortIDLength)] }

// detachedFault is about a running container on no network, although it was started on
// one; nil for any other.
func (r *run) detachedFault(ctx context.Context) *report.Fault {
	if r.found.Detached == "" {
		return nil
	}
	return diagnosis.Detached(r.known.Server.Name, r.found.Detached, !r.networkExists(ctx, r.found.Detached))
}
