package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/refusal"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// RemoveContainer removes a container, running or not, with its anonymous volumes. It is
// no error if the container does not exist. Then it releases the container's lease, if
// there is one; if the removal is forbidden, the end of the lease removes the container.
func RemoveContainer(ctx context.Context, api API, name string, lease *Lease) error {
	defer lease.Release()
	err := Retry(ctx, func() error {
		err := api.ContainerRemove(ctx, name, container.RemoveOptions{Force: true, RemoveVolumes: true})
		if errdefs.IsConflict(err) {
			return awaitRemoval(ctx, api, name) // the engine is removing it already, since it has exited
		}
		return err
	})
	if refusal.Is(err) {
		lease.Release()
		return containerIsLeft(ctx, api, name, err)
	}
	if err != nil {
		return fmt.Errorf("removing container %s: %w", name, err)
	}
	return nil
}

// ownEnd is how long a container may take to go when its lease has ended: it took 0.4 s.
const ownEnd = 5 * time.Second

// containerIsLeft is the fault of a container whose removal is forbidden; nil if it was
// never made, or that the engine removes when its lease has ended.
func containerIsLeft(ctx context.Context, api API, name string, refused error) error {
	waiting, cancel := context.WithTimeout(ctx, ownEnd)
	defer cancel()
	for {
		found, err := api.ContainerInspect(waiting, name)
		if errdefs.IsNotFound(err) {
			return nil
		}
		goes := err == nil && found.ContainerJSONBase != nil && found.HostConfig != nil && found.HostConfig.AutoRemove
		if !goes || !Pause(waiting, RetryPause) {
			return isLeft("container "+name, shell.Line("docker rm -fv %s", name), refused)
		}
	}
}

// isLeft is the fault of what stays on the engine, since its removal is forbidden.
func isLeft(what, command string, refused error) error {
	fault := new(report.Fault)
	if !errors.As(connection.Explain(refused), &fault) {
		return refused
	}
	fault.Err = fmt.Errorf("%s is left on the engine: %w", what, fault.Err)
	fault.Evidence = append(fault.Evidence, what+" is left on the engine")
	fault.Hint = "remove it where that is allowed, or " + fault.Hint
	fault.Commands = append(fault.Commands, command)
	return fault
}

func awaitRemoval(ctx context.Context, api API, name string) error {
	responses, errs := api.ContainerWait(ctx, name, container.WaitConditionRemoved)
	select {
	case response := <-responses:
		if response.Error != nil {
			return errors.New(response.Error.Message)
		}
		return nil
	case err := <-errs:
		return err
	}
}

// RemoveNetwork removes a network. It is no error if the network does not exist.
func RemoveNetwork(ctx context.Context, api API, name string) error {
	err := Retry(ctx, func() error { return api.NetworkRemove(ctx, name) })
	if refusal.Is(err) {
		if _, inspectErr := api.NetworkInspect(ctx, name, network.InspectOptions{}); errdefs.IsNotFound(inspectErr) {
			return nil // it was never made
		}
		return isLeft("network "+name, shell.Line("docker network rm %s", name), err)
	}
	if err != nil {
		return fmt.Errorf("removing network %s: %w", name, err)
	}
	return nil
}

// LeaveNetwork disconnects a container from a network. It is no error if one of them does
// not exist, or if the container is not connected.
func LeaveNetwork(ctx context.Context, api API, name, container string) error {
	err := Retry(ctx, func() error {
		err := api.NetworkDisconnect(ctx, name, container, true)
		if err != nil && notConnected.MatchString(err.Error()) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("disconnecting container %s from network %s: %w", container, name, err)
	}
	return nil
}

// notConnected is what engines say, with status 500, of a container that is not on the network
// that it is to leave: Docker (daemon/container_operations.go) and Podman (libpod,
// NetworkDisconnect).
var notConnected = regexp.MustCompile(`is not connected to (the )?network`)

// RemoveService removes a Swarm service. It is no error if the service does not exist.
func RemoveService(ctx context.Context, api API, name string) error {
	if err := Retry(ctx, func() error { return api.ServiceRemove(ctx, name) }); err != nil {
		return fmt.Errorf("removing service %s: %w", name, err)
	}
	return nil
}

// ListContainers lists containers, running or not.
func ListContainers(ctx context.Context, api Reader, by filters.Args) ([]container.Summary, error) {
	return api.ContainerList(ctx, container.ListOptions{All: true, Filters: by})
}

// RetryPause is how long to wait before a request to an engine is repeated.
const RetryPause = 250 * time.Millisecond

// Pause waits for d or the end of ctx. It returns false if ctx has ended.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Retry repeats an action until it succeeds, the engine reports that there is no such
// object, or another try is pointless; until ctx ends, or for finishedLimit: an engine
// that restarts is back within seconds. The error is the last one of the engine.
func Retry(ctx context.Context, action func() error) error {
	ctx, cancel := context.WithTimeout(ctx, finishedLimit)
	defer cancel()
	var last error // the engine's last answer
	err := backoff.Retry(func() error {
		err := action()
		switch {
		case errdefs.IsNotFound(err):
			return nil
		case isPermanent(err):
			return backoff.Permanent(err)
		case ctx.Err() == nil:
			last = err
		}
		return err
	}, backoff.WithContext(backoff.NewConstantBackOff(RetryPause), ctx))
	if err != nil && ctx.Err() != nil {
		return cmp.Or(last, err) // the engine's answer says more than the end of the wait
	}
	return err
}

// isPermanent says whether repeating the request is pointless.
func isPermanent(err error) bool {
	return errdefs.IsInvalidArgument(err) || errdefs.IsPermissionDenied(err) || errdefs.IsUnauthorized(err) || bounds.Is(err)
}
