package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/errdefs"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// The end of the time does not hide what the engine answered last.
func TestRetryReturnsLastAnswer(t *testing.T) {
	t.Parallel()
	restarts := errors.New("the engine restarts")
	for name, test := range map[string]struct{ first, later, want error }{
		"always the same answer":       {restarts, restarts, restarts},
		"no further answer":            {restarts, nil, restarts},
		"no answer":                    {nil, nil, context.DeadlineExceeded},
		"no such object":               {restarts, errdefs.ErrNotFound, nil},
		"the request is not valid":     {restarts, errdefs.ErrInvalidArgument, errdefs.ErrInvalidArgument},
		"the request is not permitted": {errdefs.ErrPermissionDenied, restarts, errdefs.ErrPermissionDenied},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			next := test.first
			err := Retry(ctx, func() error {
				answer := next
				if next = test.later; answer == nil {
					return stuck(ctx)
				}
				return answer
			})
			assert.Check(t, errors.Is(err, test.want) || err == nil && test.want == nil, "%s: %v", name, err)
		})
	}
}

// A request that never succeeds is not repeated for ever.
func TestRetryEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, busy := time.Now(), errors.New("device or resource busy")
		assert.Check(t, is.ErrorIs(Retry(t.Context(), func() error { return busy }), busy))
		assert.Check(t, is.Equal(time.Since(began), finishedLimit))
	})
}
