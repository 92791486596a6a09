package retrying

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// failing is an engine that fails to list its networks a number of times.
type failing struct {
	client.APIClient

	times, requests int
	err             error
}

func (f *failing) NetworkList(context.Context, network.ListOptions) ([]network.Summary, error) {
	if f.requests++; f.requests <= f.times {
		return nil, f.err
	}
	return []network.Summary{{Name: "bridge"}}, nil
}

func TestRetryingClient(t *testing.T) {
	t.Parallel()
	ended := errdefs.ErrInternal.WithMessage("read /proc/1/cgroup: no such process")
	for name, test := range map[string]struct {
		times int
		err   error
		want  error
		tries int
	}{
		"a container ends":   {3, ended, nil, 4},
		"for good":           {1 << 20, ended, ended, 0},
		"no such network":    {1, errdefs.ErrNotFound, errdefs.ErrNotFound, 1},
		"the engine is gone": {1, context.DeadlineExceeded, context.DeadlineExceeded, 1},
		"no failure":         {0, nil, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				engine := &failing{times: test.times, err: test.err}
				list, err := Client{engine}.NetworkList(t.Context(), network.ListOptions{})
				assert.Check(t, errors.Is(err, test.want) || err == nil && test.want == nil, "%v", err)
				assert.Check(t, is.Equal(len(list) == 1, test.want == nil))
				assert.Check(t, test.tries == 0 || engine.requests == test.tries, engine.requests)
				assert.Check(t, time.Since(began) <= retryTime)
			})
		})
	}
}

func TestRetryingClientEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), retryTime/2)
		defer cancel()
		engine := &failing{times: 1 << 20, err: errdefs.ErrInternal}
		_, err := Client{engine}.NetworkList(ctx, network.ListOptions{})
		assert.Check(t, is.ErrorIs(err, context.DeadlineExceeded))
	})
}
