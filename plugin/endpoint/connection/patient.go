package connection

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
)

// patient asks again where an engine fails to say what it has because some of that
// changes just then. Podman 4.3 looks at every container to list containers or
// networks, or to inspect a network, and answers 500 when one of them ends
// meanwhile ("read /proc/PID/cgroup: no such process").
type patient struct{ client.APIClient }

// patience bounds how long an engine is asked again, and mostly is enough for many
// containers that end one after the other.
const patience = 2 * time.Second

func (p patient) ContainerInspect(ctx context.Context, id string) (container.InspectResponse, error) {
	return patiently(ctx, func() (container.InspectResponse, error) { return p.APIClient.ContainerInspect(ctx, id) })
}

func (p patient) ContainerList(ctx context.Context, options container.ListOptions) ([]container.Summary, error) {
	return patiently(ctx, func() ([]container.Summary, error) { return p.APIClient.ContainerList(ctx, options) })
}

func (p patient) NetworkInspect(ctx context.Context, id string, options network.InspectOptions) (network.Inspect, error) {
	return patiently(ctx, func() (network.Inspect, error) { return p.APIClient.NetworkInspect(ctx, id, options) })
}

func (p patient) NetworkList(ctx context.Context, options network.ListOptions) ([]network.Summary, error) {
	return patiently(ctx, func() ([]network.Summary, error) { return p.APIClient.NetworkList(ctx, options) })
}

// patiently asks until the engine does not fail, and returns its last word, or
// ctx's error.
func patiently[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	retries := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(10*time.Millisecond),
		backoff.WithMaxElapsedTime(patience),
	)
	return backoff.RetryWithData(func() (T, error) {
		answer, err := ask()
		if err != nil && !errdefs.IsInternal(err) {
			err = backoff.Permanent(err)
		}
		return answer, err
	}, backoff.WithContext(retries, ctx))
}
