// Package retrying is a client of the Docker API that repeats a request where an engine fails
// because a container changes at that moment. It must not know of endpoints.
package retrying

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
)

// Client repeats a request where an engine fails to list or inspect
// something because it changes at that moment. Podman 4.3 looks at every container
// to list containers or networks, or to inspect a network, and answers 500 when
// one of them ends meanwhile ("read /proc/PID/cgroup: no such process").
type Client struct{ client.APIClient }

// retryTime bounds how long a request is repeated. It is mostly enough for many
// containers that end one after the other.
const retryTime = 2 * time.Second

// ContainerInspect implements client.APIClient.
func (c Client) ContainerInspect(ctx context.Context, id string) (container.InspectResponse, error) {
	return retry(ctx, func() (container.InspectResponse, error) { return c.APIClient.ContainerInspect(ctx, id) })
}

// ContainerList implements client.APIClient.
func (c Client) ContainerList(ctx context.Context, options container.ListOptions) ([]container.Summary, error) {
	return retry(ctx, func() ([]container.Summary, error) { return c.APIClient.ContainerList(ctx, options) })
}

// NetworkInspect implements client.APIClient.
func (c Client) NetworkInspect(ctx context.Context, id string, options network.InspectOptions) (network.Inspect, error) {
	return retry(ctx, func() (network.Inspect, error) { return c.APIClient.NetworkInspect(ctx, id, options) })
}

// NetworkList implements client.APIClient.
func (c Client) NetworkList(ctx context.Context, options network.ListOptions) ([]network.Summary, error) {
	return retry(ctx, func() ([]network.Summary, error) { return c.APIClient.NetworkList(ctx, options) })
}

// retry repeats a request while the engine answers with an internal error, and
// returns the last result, or ctx's error.
func retry[T any](ctx context.Context, request func() (T, error)) (T, error) {
	pauses := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(10*time.Millisecond),
		backoff.WithMaxElapsedTime(retryTime),
	)
	return backoff.RetryWithData(func() (T, error) {
		result, err := request()
		if err != nil && !errdefs.IsInternal(err) {
			err = backoff.Permanent(err)
		}
		return result, err
	}, backoff.WithContext(pauses, ctx))
}
