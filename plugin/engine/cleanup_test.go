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

// slow is a removal that takes so long.
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

// After a failure all clean-ups together take as long as one may. One that has no time
// left gets its last chance, and says what it could not remove.
func TestCleanUpsShareTheirTime(t *testing.T) {
	t.Parallel()
	left := func(err error) bool { return errors.As(err, new(*CleanUpError)) }
	synctest.Test(t, func(t *testing.T) {
		ctx, began := WithBudget(t.Context()), time.Now()
		assert.Check(t, left(CleanUp(ctx, true, stuck)))
		assert.Check(t, is.Equal(time.Since(began), InterruptedLimit))
		assert.Check(t, CleanUpRun(WithBudget(ctx), true, slow(minCleanUpTime/2)), "it has no time at all")
		assert.Check(t, left(CleanUpRun(WithBudget(ctx), true, stuck)))
		assert.Check(t, is.Equal(time.Since(began), InterruptedLimit+minCleanUpTime/2+minCleanUpTime))
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, began := WithBudget(t.Context()), time.Now()
		done := make(chan error)
		for range 3 { // at once, as those of network modes
			go func() { done <- CleanUp(ctx, true, slow(3*time.Second)) }()
		}
		for range 3 {
			assert.Check(t, <-done)
		}
		assert.Check(t, left(CleanUp(ctx, true, stuck)))
		assert.Check(t, is.Equal(time.Since(began), InterruptedLimit))
	})
	for name, first := range map[string]func(context.Context) error{"stuck": stuck, "slow": slow(25 * time.Second)} {
		synctest.Test(t, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(WithBudget(t.Context()))
			time.AfterFunc(20*time.Second, interrupt)
			began := time.Now()
			assert.Check(t, is.Equal(left(CleanUp(ctx, false, first)), name == "stuck"))
			assert.Check(t, left(CleanUp(ctx, true, stuck)))
			most := 20*time.Second + InterruptedLimit + minCleanUpTime
			assert.Check(t, time.Since(began) <= most, "%s: it took %s", name, time.Since(began))
		})
	}
}

// A clean-up of a run that goes on takes nothing from the others, and each of a
// fleet's has its own time.
func TestCleanUpsOfTheirOwn(t *testing.T) {
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

// What an engine said is not hidden by the end of the time that there was to ask it
// again.
func TestPersistKeepsTheEnginesWord(t *testing.T) {
	t.Parallel()
	word := errors.New("the engine restarts")
	for name, test := range map[string]struct{ first, later, want error }{
		"it goes on saying so": {word, word, word},
		"then it says no more": {word, nil, word},
		"it has said nothing":  {nil, nil, context.DeadlineExceeded},
		"it has no such":       {word, errdefs.ErrNotFound, nil},
		"it will not have it":  {word, errdefs.ErrInvalidArgument, errdefs.ErrInvalidArgument},
		"it never will":        {errdefs.ErrPermissionDenied, word, errdefs.ErrPermissionDenied},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			next := test.first
			err := Retry(ctx, func() error {
				said := next
				if next = test.later; said == nil {
					return stuck(ctx)
				}
				return said
			})
			assert.Check(t, errors.Is(err, test.want) || err == nil && test.want == nil, "%s: %v", name, err)
		})
	}
}

// An engine that never has it is not asked for ever.
func TestPersistEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, word := time.Now(), errors.New("device or resource busy")
		assert.Check(t, is.ErrorIs(Retry(t.Context(), func() error { return word }), word))
		assert.Check(t, is.Equal(time.Since(began), finishedLimit))
	})
}
