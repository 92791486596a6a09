package connection

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/refusal"
)

// retryingClient repeats a request where an engine fails to list or inspect
// something because it changes at that moment. Podman 4.3 looks at every container
// to list containers or networks, or to inspect a network, and answers 500 when
// one of them ends meanwhile ("read /proc/PID/cgroup: no such process").
//
// It also finds out why a client may not attach to a container, which the upgrade of the
// connection hides.
type retryingClient struct {
	client.APIClient
	connection *Connection
}

// retryTime bounds how long a request is repeated. It is mostly enough for many
// containers that end one after the other.
const retryTime = 2 * time.Second

// ContainerAttach attaches to a container. Docker's client drops an answer other than the
// upgrade, so after an error the same call is sent without one; with neither logs nor a
// stream it does nothing.
func (c retryingClient) ContainerAttach(ctx context.Context, id string, options container.AttachOptions) (types.HijackedResponse, error) {
	attached, err := c.APIClient.ContainerAttach(ctx, id, options)
	if err == nil || ctx.Err() != nil {
		return attached, err
	}
	again, againErr := c.connection.request(ctx, measureTimeout, http.MethodPost, c.connection.wire.base.Scheme, "/containers/"+id+"/attach?logs=0&stream=0", nil)
	if againErr == nil {
		return attached, errors.Join(err, again.Body.Close())
	}
	if refusal.Is(againErr) {
		return attached, againErr
	}
	return attached, err
}

func (c retryingClient) ContainerInspect(ctx context.Context, id string) (container.InspectResponse, error) {
	return retry(ctx, func() (container.InspectResponse, error) { return c.APIClient.ContainerInspect(ctx, id) })
}

func (c retryingClient) ContainerList(ctx context.Context, options container.ListOptions) ([]container.Summary, error) {
	return retry(ctx, func() ([]container.Summary, error) { return c.APIClient.ContainerList(ctx, options) })
}

func (c retryingClient) NetworkInspect(ctx context.Context, id string, options network.InspectOptions) (network.Inspect, error) {
	return retry(ctx, func() (network.Inspect, error) { return c.APIClient.NetworkInspect(ctx, id, options) })
}

func (c retryingClient) NetworkList(ctx context.Context, options network.ListOptions) ([]network.Summary, error) {
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
