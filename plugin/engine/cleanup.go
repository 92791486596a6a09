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

// These bound the removal of what a run made, even if the engine restarts meanwhile.
// What is still there then is removed by its lease or after its deadline. A user who
// interrupts, or whose engine is gone, waits for ten seconds at most (DESIGN, section
// 9). That includes CreateGrace, and all clean-ups share it, see budget. A run without
// an error gives a busy engine more time.
const (
	InterruptedLimit = 10*time.Second - CreateGrace - minCleanUpTime
	finishedLimit    = time.Minute
)

// minCleanUpTime is the time for a clean-up that begins when the others have used up all
// the time: five times as long as the removal of a server takes.
const minCleanUpTime = time.Second

// CreateGrace is how long a request that creates something may go on after the end of
// the run's context. Such requests took 12 to 60 ms; the rest is for a busy engine. A
// request that takes longer hangs; what it creates in the end is removed after its
// deadline.
const CreateGrace = 2 * time.Second

// CreateContext returns a context for requests that create something. It goes on for
// CreateGrace after ctx has ended: if such a request were cancelled, it would not be
// known whether the engine has created anything.
func CreateContext(ctx context.Context) (context.Context, context.CancelFunc) {
	creating, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { // ends with creating at the latest
		select {
		case <-time.After(CreateGrace):
			cancel()
		case <-creating.Done():
		}
	})
	return creating, func() { stop(); cancel() }
}

// CleanUpRun does what CleanUp does. After a run without an error it also returns the
// cause of the end of ctx: a user who interrupted the clean-up has interrupted the run.
func CleanUpRun(ctx context.Context, failed bool, remove func(context.Context) error) error {
	err := CleanUp(ctx, failed, remove)
	if err != nil || failed {
		return err
	}
	return context.Cause(ctx)
}

// CleanUp removes what was made, even if ctx has ended, within the bounds above. Its error
// is a CleanUpError.
func CleanUp(ctx context.Context, failed bool, remove func(context.Context) error) error {
	cleaning, cancel := CleanUpContext(ctx, failed)
	defer cancel()
	if err := remove(cleaning); err != nil {
		return &CleanUpError{err}
	}
	return nil
}

// CleanUpContext returns a context for a clean-up. It goes on after the end of ctx for a
// bounded time, which is shorter if the command has failed.
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

// budget is the time that all clean-ups of a command share after it has failed or was
// interrupted. The clean-ups of a helper and of the run follow one another.
type budget struct {
	mu  sync.Mutex
	end time.Time // zero until the first clean-up
}

type budgetKey struct{}

// WithBudget returns ctx with a budget for the clean-ups of a command that ends with the
// first failure. If ctx has a budget already, that one is kept.
func WithBudget(ctx context.Context) context.Context {
	if ctx.Value(budgetKey{}) != nil {
		return ctx
	}
	return context.WithValue(ctx, budgetKey{}, &budget{})
}

// left returns the time that is left from now, at least minCleanUpTime.
func (b *budget) left() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end.IsZero() {
		b.end = time.Now().Add(InterruptedLimit)
	}
	return max(time.Until(b.end), minCleanUpTime)
}

// CleanUpError says that something could not be removed. A later run removes it after its
// deadline.
type CleanUpError struct{ err error }

// Error returns why it could not be removed.
func (e *CleanUpError) Error() string { return e.err.Error() }

// Unwrap returns the error underneath.
func (e *CleanUpError) Unwrap() error { return e.err }

// RemoveContainer removes a container, running or not, with its anonymous volumes. It is
// no error if the container does not exist.
func RemoveContainer(ctx context.Context, api API, name string) error {
	err := Retry(ctx, func() error {
		err := api.ContainerRemove(ctx, name, container.RemoveOptions{Force: true, RemoveVolumes: true})
		if errdefs.IsConflict(err) {
			return awaitRemoval(ctx, api, name) // the engine is removing it already, since it has exited
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

// RemoveNetwork removes a network. It is no error if the network does not exist.
func RemoveNetwork(ctx context.Context, api API, name string) error {
	if err := Retry(ctx, func() error { return api.NetworkRemove(ctx, name) }); err != nil {
		return fmt.Errorf("removing network %s: %w", name, err)
	}
	return nil
}

// RemoveService removes a Swarm service. It is no error if the service does not exist.
func RemoveService(ctx context.Context, api API, name string) error {
	if err := Retry(ctx, func() error { return api.ServiceRemove(ctx, name) }); err != nil {
		return fmt.Errorf("removing service %s: %w", name, err)
	}
	return nil
}

// ListContainers lists containers, running or not.
func ListContainers(ctx context.Context, api API, by filters.Args) ([]container.Summary, error) {
	return api.ContainerList(ctx, container.ListOptions{All: true, Filters: by})
}

// Retry repeats an action until it succeeds, the engine reports that there is no such
// object, or another try is pointless; until ctx ends, or for finishedLimit: an engine
// that restarts is back within seconds. The error is the last one of the engine.
func Retry(ctx context.Context, action func() error) error {
	ctx, cancel := context.WithTimeout(ctx, finishedLimit)
	defer cancel()
	var last error // the engine's last answer
	err := backoff.Retry(func() error {
		err := action()
		switch {
		case errdefs.IsNotFound(err):
			return nil
		case isPermanent(err):
			return backoff.Permanent(err)
		case ctx.Err() == nil:
			last = err
		}
		return err
	}, backoff.WithContext(backoff.NewConstantBackOff(RetryPause), ctx))
	if err != nil && ctx.Err() != nil {
		return cmp.Or(last, err) // the engine's answer says more than the end of the wait
	}
	return err
}

// isPermanent says whether repeating the request is pointless.
func isPermanent(err error) bool {
	return errdefs.IsInvalidArgument(err) || errdefs.IsPermissionDenied(err) || errdefs.IsUnauthorized(err)
}
