package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/system"
)

// Manager is what an experiment on the nodes of a Swarm asks of their manager,
// besides API: a part of docker/docker's client.APIClient.
type Manager interface {
	Info(ctx context.Context) (system.Info, error)
	NodeList(ctx context.Context, options swarm.NodeListOptions) ([]swarm.Node, error)
	ServiceCreate(ctx context.Context, service swarm.ServiceSpec, options swarm.ServiceCreateOptions) (swarm.ServiceCreateResponse, error)
	TaskList(ctx context.Context, options swarm.TaskListOptions) ([]swarm.Task, error)
	TaskLogs(ctx context.Context, task string, options container.LogsOptions) (io.ReadCloser, error)
}

// managerInfo asks an engine for its place in a Swarm. One that manages none is an
// error that says what to do.
func managerInfo(ctx context.Context, api Manager) (swarm.Info, error) {
	info, err := api.Info(ctx)
	if err != nil {
		return swarm.Info{}, fmt.Errorf("asking the engine for its Swarm: %w", err)
	}
	return info.Swarm, notManager(info.Swarm)
}

// notManager says why an engine cannot start anything on the nodes of a Swarm; nil
// if it can.
func notManager(info swarm.Info) error {
	switch info.LocalNodeState {
	case swarm.LocalNodeStateActive:
		if info.ControlAvailable {
			return nil
		}
		return errors.New("this engine is a worker of its Swarm, and --nodes asks a manager: select one with --context or -H")
	case swarm.LocalNodeStateLocked:
		return errors.New("the Swarm of this engine is locked: unlock it with `docker swarm unlock`")
	case swarm.LocalNodeStatePending, swarm.LocalNodeStateError:
		why := info.Error
		if why == "" {
			why = "it is still joining"
		}
		return fmt.Errorf("this engine is no working part of its Swarm (%s), and --nodes asks a manager: see `docker info`", why)
	default:
		return errors.New("this engine is in no Swarm, and --nodes asks the manager of one: make a Swarm with `docker swarm init`, or select a manager with --context or -H")
	}
}
