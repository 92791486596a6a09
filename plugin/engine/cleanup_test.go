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

// stuck is a removal by an engine that does not answer.
func stuck(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// slow is a removal that takes d.
func slow(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// After a failure, all clean-ups together take no longer than one may take. A clean-up
// that begins after that gets minCleanUpTime, and returns what it could not remove.
func TestCleanUpsShareTheirTime(t *testing.T) {
	t.Parallel()
	incomplete := func(err error) bool { return errors.As(err, new(*CleanUpError)) }
	synctest.Test(t, func(t *testing.T) {
		ctx, began := WithBudget(t.Context()), time.Now()
		assert.Check(t, incomplete(CleanUp(ctx, true, stuck)))
		assert.Check(t, is.Equal(time.Since(began), InterruptedLimit))
		assert.Check(t, CleanUpRun(WithBudget(ctx), true, slow(minCleanUpTime/2)), "it has no time")
		assert.Check(t, incomplete(CleanUpRun(WithBudget(ctx), true, stuck)))
		assert.Check(t, is.Equal(time.Since(began), InterruptedLimit+minCleanUpTime/2+minCleanUpTime))
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, began := WithBudget(t.Context()), time.Now()
		done := make(chan error)
		for range 3 { // in parallel, as those of network modes
			go func() { done <- CleanUp(ctx, true, slow(3*time.Second)) }()
		}
		for range 3 {
			assert.Check(t, <-done)
		}
		assert.Check(t, incomplete(CleanUp(ctx, true, stuck)))
		assert.Check(t, is.Equal(time.Since(began), InterruptedLimit))
	})
	for name, first := range map[string]func(context.Context) error{"stuck": stuck, "slow": slow(25 * time.Second)} {
		synctest.Test(t, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(WithBudget(t.Context()))
			time.AfterFunc(20*time.Second, interrupt)
			began := time.Now()
			assert.Check(t, is.Equal(incomplete(CleanUp(ctx, false, first)), name == "stuck"))
			assert.Check(t, incomplete(CleanUp(ctx, true, stuck)))
			most := 20*time.Second + InterruptedLimit + minCleanUpTime
			assert.Check(t, time.Since(began) <= most, "%s: it took %s", name, time.Since(began))
		})
	}
}

// The clean-up of a run that goes on takes no time from the others. Without a budget, as
// for servers on demand, each clean-up has its own time.
func TestCleanUpsThatDoNotShareTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := WithBudget(t.Context())
		assert.Check(t, CleanUp(ctx, false, slow(finishedLimit/2)))
		began := time.Now()
		assert.Check(t, errors.As(CleanUp(ctx, true, stuck), new(*CleanUpError)))
		assert.Check(t, is.Equal(time.Since(began), InterruptedLimit))
		began = time.Now()
		for range 2 {
			assert.Check(t, errors.As(CleanUp(t.Context(), true, stuck), new(*CleanUpError)))
		}
		assert.Check(t, is.Equal(time.Since(began), 2*InterruptedLimit))
	})
}

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
