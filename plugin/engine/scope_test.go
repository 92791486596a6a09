package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

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

// undo has a part of a scope run one step.
func undo(ctx context.Context, scope *Scope, failed bool, step func(context.Context) error) error {
	part := scope.Part()
	part.Undo(step)
	return part.Close(ctx, failed)
}

// After a failure, all clean-ups together take no longer than one may take. A clean-up
// that begins after that gets lastLimit, and returns what it could not remove.
func TestScopesShareTheirTime(t *testing.T) {
	t.Parallel()
	incomplete := func(err error) bool { return errors.As(err, new(*CleanUpError)) }
	synctest.Test(t, func(t *testing.T) {
		ctx, scope, began := t.Context(), NewScope(), time.Now()
		assert.Check(t, incomplete(undo(ctx, scope, true, stuck)))
		assert.Check(t, is.Equal(time.Since(began), InterruptedLimit))
		assert.Check(t, undo(ctx, scope, true, slow(lastLimit/2)), "it has no time")
		assert.Check(t, incomplete(undo(ctx, scope, true, stuck)))
		assert.Check(t, is.Equal(time.Since(began), InterruptedLimit+lastLimit/2+lastLimit))
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, scope, began := t.Context(), NewScope(), time.Now()
		done := make(chan error)
		for range 3 { // in parallel, as those of network modes
			go func() { done <- undo(ctx, scope, true, slow(3*time.Second)) }()
		}
		for range 3 {
			assert.Check(t, <-done)
		}
		assert.Check(t, incomplete(undo(ctx, scope, true, stuck)))
		assert.Check(t, is.Equal(time.Since(began), InterruptedLimit))
	})
	for name, first := range map[string]func(context.Context) error{"stuck": stuck, "slow": slow(25 * time.Second)} {
		synctest.Test(t, func(t *testing.T) {
			scope := NewScope()
			ctx, interrupt := context.WithCancel(t.Context())
			time.AfterFunc(20*time.Second, interrupt)
			began := time.Now()
			assert.Check(t, is.Equal(incomplete(undo(ctx, scope, false, first)), name == "stuck"))
			assert.Check(t, incomplete(undo(ctx, scope, true, stuck)))
			most := 20*time.Second + InterruptedLimit + lastLimit
			assert.Check(t, time.Since(began) <= most, "%s: it took %s", name, time.Since(began))
		})
	}
}

// The clean-up of a run that goes on takes no time from the others. Scopes of
// their own, as those of servers on demand, have their own time.
func TestScopesThatDoNotShareTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, scope := t.Context(), NewScope()
		assert.Check(t, undo(ctx, scope, false, slow(finishedLimit/2)))
		began := time.Now()
		assert.Check(t, errors.As(undo(ctx, scope, true, stuck), new(*CleanUpError)))
		assert.Check(t, is.Equal(time.Since(began), InterruptedLimit))
		began = time.Now()
		for range 2 {
			assert.Check(t, errors.As(undo(ctx, NewScope(), true, stuck), new(*CleanUpError)))
		}
		assert.Check(t, is.Equal(time.Since(began), 2*InterruptedLimit))
	})
}

// Steps run in reverse order, until one fails.
func TestScopeRunsStepsInReverseOrder(t *testing.T) {
	t.Parallel()
	var ran []string
	step := func(name string, err error) func(context.Context) error {
		return func(context.Context) error {
			ran = append(ran, name)
			return err
		}
	}
	failure := errors.New("in use")
	scope := NewScope()
	scope.Undo(step("network", nil))
	scope.Undo(step("stuck", failure))
	scope.Undo(step("container", nil))
	err := scope.Close(t.Context(), false)
	assert.Check(t, errors.As(err, new(*CleanUpError)) && errors.Is(err, failure), "%v", err)
	assert.Check(t, is.DeepEqual(ran, []string{"container", "stuck"}))
	assert.Check(t, scope.Close(t.Context(), false), "nothing is left to undo")
}

// What is extended ends a time after what it extends, with the same cause.
func TestExtend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		interrupted := errors.New("interrupted")
		ctx, interrupt := context.WithCancelCause(t.Context())
		extended, cancel := Extend(ctx, time.Second)
		defer cancel()
		interrupt(interrupted)
		began := time.Now()
		<-extended.Done()
		assert.Check(t, is.Equal(time.Since(began), time.Second))
		assert.Check(t, is.ErrorIs(context.Cause(extended), interrupted))
	})
}
