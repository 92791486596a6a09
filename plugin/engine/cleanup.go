package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

// Bounds on the removal of what a run made, an engine that restarts meanwhile
// included. What is still there then goes by its lease or deadline. A user who
// interrupts, or whose engine is gone, waits for ten seconds at most (DESIGN,
// section 9), which creatingLimit is a part of and which all clean-ups share, see
// budget; a run that ended well gives a busy engine more time.
const (
	InterruptedLimit = 10*time.Second - CreateGrace - minCleanUpTime
	finishedLimit    = time.Minute
)

// minCleanUpTime is what a clean-up has that comes when the others have taken all the
// time: five times what the removal of a server takes.
const minCleanUpTime = time.Second

// creatingLimit is how long a request that makes something may outlast the end
// of the run's context. Such requests took 12 to 60 ms; the rest is for an
// engine that is busy. One that takes longer hangs, and what it makes in the end
// is removed after its deadline.
const CreateGrace = 2 * time.Second

// outlast returns a context that goes on for creatingLimit after ctx has ended.
func CreateContext(ctx context.Context) (context.Context, context.CancelFunc) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { // ends with lasting at the latest
		select {
		case <-time.After(CreateGrace):
			cancel()
		case <-lasting.Done():
		}
	})
	return lasting, func() { stop(); cancel() }
}

// clearUp removes what was made, as putAway does. After a run that went well it also
// returns the end of ctx: a user who interrupted the clean-up has interrupted the run.
func CleanUpRun(ctx context.Context, failed bool, remove func(context.Context) error) error {
	err := CleanUp(ctx, failed, remove)
	if err != nil || failed {
		return err
	}
	return context.Cause(ctx)
}

// putAway removes what was made, whether ctx has ended or not, within the bounds above.
func CleanUp(ctx context.Context, failed bool, remove func(context.Context) error) error {
	ending, cancel := CleanUpContext(ctx, failed)
	defer cancel()
	if err := remove(ending); err != nil {
		return &CleanUpError{err}
	}
	return nil
}

// ending returns a context for a clean-up, which goes on when ctx ends, or has
// ended, but not for ever. It has less time if the command has failed.
func CleanUpContext(ctx context.Context, failed bool) (context.Context, context.CancelFunc) {
	shared, ok := ctx.Value(budgetKey{}).(*budget)
	if !ok {
		shared = &budget{}
	}
	limit := finishedLimit
	if failed {
		limit = shared.left()
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(shared.left(), cancel) })
	return bounded, func() { stop(); cancel() }
}

// budget is the time that the clean-ups of a command have once it has failed or was
// interrupted, all of them together: those of a helper and of the run that it helps
// follow one another.
type budget struct {
	mu  sync.Mutex
	end time.Time // zero until the first of them
}

type budgetKey struct{}

// budgeted is ctx with a budget for the clean-ups of a command that ends with the first
// failure. One that is there already is kept.
func WithBudget(ctx context.Context) context.Context {
	if ctx.Value(budgetKey{}) != nil {
		return ctx
	}
	return context.WithValue(ctx, budgetKey{}, &budget{})
}

// left is the time that is left from now, and minCleanUpTime at least.
func (b *budget) left() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end.IsZero() {
		b.end = time.Now().Add(InterruptedLimit)
	}
	return max(time.Until(b.end), minCleanUpTime)
}

// CleanUpError says that something was left behind, to be removed after its
// deadline.
type CleanUpError struct{ err error }

func (e *CleanUpError) Error() string { return e.err.Error() }

// Unwrap returns what kept it from being removed.
func (e *CleanUpError) Unwrap() error { return e.err }

// removeContainer removes a container, running or not, with its anonymous
// volumes. One that is gone already, or was never made, is no error.
func RemoveContainer(ctx context.Context, api API, name string) error {
	err := Retry(ctx, func() error {
		err := api.ContainerRemove(ctx, name, container.RemoveOptions{Force: true, RemoveVolumes: true})
		if errdefs.IsConflict(err) {
			return awaitRemoval(ctx, api, name) // it is being removed already, by itself
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("removing container %s: %w", name, err)
	}
	return nil
}

func awaitRemoval(ctx context.Context, api API, name string) error {
	responses, errs := api.ContainerWait(ctx, name, container.WaitConditionRemoved)
	select {
	case response := <-responses:
		if response.Error != nil {
			return errors.New(response.Error.Message)
		}
		return nil
	case err := <-errs:
		return err
	}
}

func RemoveNetwork(ctx context.Context, api API, name string) error {
	if err := Retry(ctx, func() error { return api.NetworkRemove(ctx, name) }); err != nil {
		return fmt.Errorf("removing network %s: %w", name, err)
	}
	return nil
}

func RemoveService(ctx context.Context, api API, name string) error {
	if err := Retry(ctx, func() error { return api.ServiceRemove(ctx, name) }); err != nil {
		return fmt.Errorf("removing service %s: %w", name, err)
	}
	return nil
}

// listContainers lists containers, running or not.
func ListContainers(ctx context.Context, api API, by filters.Args) ([]container.Summary, error) {
	return api.ContainerList(ctx, container.ListOptions{All: true, Filters: by})
}

// persist repeats an action until the engine has taken it, ctx ends, or finishedLimit
// is over: an engine that restarts is back within seconds.
func Retry(ctx context.Context, action func() error) error {
	ctx, cancel := context.WithTimeout(ctx, finishedLimit)
	defer cancel()
	var word error // the engine's last
	err := backoff.Retry(func() error {
		err := action()
		switch {
		case errdefs.IsNotFound(err):
			return nil
		case isPermanent(err):
			return backoff.Permanent(err)
		case ctx.Err() == nil:
			word = err
		}
		return err
	}, backoff.WithContext(backoff.NewConstantBackOff(RetryPause), ctx))
	if err != nil && ctx.Err() != nil {
		return cmp.Or(word, err) // which says more than the end of the wait
	}
	return err
}

// permanent says whether repeating the request is pointless.
func isPermanent(err error) bool {
	return errdefs.IsInvalidArgument(err) || errdefs.IsPermissionDenied(err) || errdefs.IsUnauthorized(err)
}
