package swarm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/system"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Manager is the API of a Swarm's manager that Run needs besides engine.API: a part of
// docker/docker's client.APIClient.
type Manager interface {
	Info(ctx context.Context) (system.Info, error)
	NodeList(ctx context.Context, options swarm.NodeListOptions) ([]swarm.Node, error)
	ServiceCreate(ctx context.Context, service swarm.ServiceSpec, options swarm.ServiceCreateOptions) (swarm.ServiceCreateResponse, error)
	TaskList(ctx context.Context, options swarm.TaskListOptions) ([]swarm.Task, error)
	TaskLogs(ctx context.Context, task string, options container.LogsOptions) (io.ReadCloser, error)
}

// managerError says why an engine cannot start services on the nodes of a Swarm; nil if it
// can.
func managerError(info swarm.Info) error {
	switch info.LocalNodeState {
	case swarm.LocalNodeStateActive:
		if info.ControlAvailable {
			return nil
		}
		return needsManager("this engine is a worker of its Swarm, and only a manager starts services: select a manager with --context or -H")
	case swarm.LocalNodeStateLocked:
		return errors.New("the Swarm of this engine is locked: unlock it with `docker swarm unlock`")
	case swarm.LocalNodeStatePending, swarm.LocalNodeStateError:
		why := cmp.Or(info.Error, "it is still joining")
		return fmt.Errorf("this engine does not take part in its Swarm (%s): see `docker info`", why)
	default:
		return needsManager("this engine is not in a Swarm: create one with `docker swarm init`, or select a manager of one with --context or -H")
	}
}

// needsManager is the error of an engine that is no manager. The flags that it names
// are docker's own.
func needsManager(what string) error {
	return &report.SettingError{Setting: report.SettingNodes, Err: errors.New(what)}
}
