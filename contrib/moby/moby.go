// Package moby adapts the client of github.com/moby/moby/client to the API that nestprobe
// takes. It is a module of its own, so that nobody else inherits that client.
//
// That client has types of its own, which have the same JSON as those of docker/docker: the
// adapter converts through JSON. It does no more, and may be used by several goroutines in
// parallel, as the client may.
package moby

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/system"
	docker "github.com/docker/docker/client"
	mobycontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	nestprobe "github.com/nestprobe/docker-nestprobe"
)

// Client is the part of moby's client that is adapted. Its Client satisfies it.
type Client interface {
	ContainerInspect(ctx context.Context, id string, options client.ContainerInspectOptions) (client.ContainerInspectResult, error)
	ContainerList(ctx context.Context, options client.ContainerListOptions) (client.ContainerListResult, error)
	ContainerLogs(ctx context.Context, id string, options client.ContainerLogsOptions) (client.ContainerLogsResult, error)
	ContainerWait(ctx context.Context, id string, options client.ContainerWaitOptions) client.ContainerWaitResult
	NetworkInspect(ctx context.Context, id string, options client.NetworkInspectOptions) (client.NetworkInspectResult, error)
	NetworkList(ctx context.Context, options client.NetworkListOptions) (client.NetworkListResult, error)
	Info(ctx context.Context, options client.InfoOptions) (client.SystemInfoResult, error)
	ServerVersion(ctx context.Context, options client.ServerVersionOptions) (client.ServerVersionResult, error)
	DaemonHost() string
}

// Adapt returns a client as nestprobe takes it. The caller still closes the client.
func Adapt(api Client) nestprobe.API { return adapter{api} }

type adapter struct{ api Client }

func (a adapter) DaemonHost() string { return a.api.DaemonHost() }

func (a adapter) ContainerInspect(ctx context.Context, id string) (to container.InspectResponse, err error) {
	result, err := a.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	return to, a.convert(result.Raw, &to, err)
}

func (a adapter) ContainerList(ctx context.Context, options container.ListOptions) (to []container.Summary, err error) {
	filters := client.Filters{}
	for _, term := range options.Filters.Keys() {
		filters.Add(term, options.Filters.Get(term)...)
	}
	result, err := a.api.ContainerList(ctx, client.ContainerListOptions{All: options.All, Limit: options.Limit, Size: options.Size, Filters: filters})
	return to, a.convert(result.Items, &to, err)
}

func (a adapter) ContainerLogs(ctx context.Context, id string, options container.LogsOptions) (io.ReadCloser, error) {
	logs, err := a.api.ContainerLogs(ctx, id, client.ContainerLogsOptions(options))
	return logs, a.failed(err)
}

// ContainerWait forwards the first of an exit and an error. Its goroutine ends with that, or
// with ctx.
func (a adapter) ContainerWait(ctx context.Context, id string, condition container.WaitCondition) (<-chan container.WaitResponse, <-chan error) {
	exits, errs := make(chan container.WaitResponse, 1), make(chan error, 1)
	waited := a.api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: mobycontainer.WaitCondition(condition)})
	go func() {
		select {
		case exit := <-waited.Result:
			var to container.WaitResponse
			if err := a.convert(exit, &to, nil); err != nil {
				errs <- err
				return
			}
			exits <- to
		case err := <-waited.Error:
			errs <- a.failed(err)
		case <-ctx.Done():
			errs <- ctx.Err()
		}
	}()
	return exits, errs
}

func (a adapter) NetworkInspect(ctx context.Context, id string, options network.InspectOptions) (to network.Inspect, err error) {
	result, err := a.api.NetworkInspect(ctx, id, client.NetworkInspectOptions{Scope: options.Scope, Verbose: options.Verbose})
	return to, a.convert(result.Raw, &to, err)
}

func (a adapter) NetworkList(ctx context.Context, options network.ListOptions) (to []network.Summary, err error) {
	filters := client.Filters{}
	for _, term := range options.Filters.Keys() {
		filters.Add(term, options.Filters.Get(term)...)
	}
	result, err := a.api.NetworkList(ctx, client.NetworkListOptions{Filters: filters})
	return to, a.convert(result.Items, &to, err)
}

func (a adapter) Info(ctx context.Context) (to system.Info, err error) {
	result, err := a.api.Info(ctx, client.InfoOptions{})
	return to, a.convert(result.Info, &to, err)
}

func (a adapter) ServerVersion(ctx context.Context) (types.Version, error) {
	result, err := a.api.ServerVersion(ctx, client.ServerVersionOptions{})
	to := types.Version{Version: result.Version, APIVersion: result.APIVersion, MinAPIVersion: result.MinAPIVersion, Os: result.Os, Arch: result.Arch}
	to.Platform.Name = result.Platform.Name
	return to, a.convert(result.Components, &to.Components, err)
}

// convert converts through JSON, unless there is an error.
func (a adapter) convert(from, to any, err error) error {
	if err != nil {
		return a.failed(err)
	}
	text, ok := from.(json.RawMessage)
	if !ok {
		if text, err = json.Marshal(from); err != nil {
			return fmt.Errorf("converting the engine's answer: %w", err)
		}
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("converting the engine's answer: %w", err)
	}
	return nil
}

// failed returns the error of a connection as one that is known to docker/docker too.
func (a adapter) failed(err error) error {
	if client.IsErrConnectionFailed(err) {
		return fmt.Errorf("%w: %w", docker.ErrorConnectionFailed(a.api.DaemonHost()), err) //nolint:staticcheck // there is no other way to make the error, and docker/docker has no further release
	}
	return err
}
