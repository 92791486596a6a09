package experiment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"golang.org/x/sync/errgroup"
)

// Bounds on the removal of what a run made, an engine that restarts meanwhile
// included. What is still there then goes by its lease or deadline. A user who
// interrupts, or whose engine is gone, waits for ten seconds at most (DESIGN,
// section 9), which creatingLimit is a part of; a run that ended well gives a
// busy engine more time.
const (
	interruptedLimit = 10*time.Second - creatingLimit
	finishedLimit    = time.Minute
)

// creatingLimit is how long a request that makes something may outlast the end
// of the run's context. Such requests took 12 to 60 ms; the rest is for an
// engine that is busy. One that takes longer hangs, and what it makes in the end
// is removed after its deadline.
const creatingLimit = 2 * time.Second

// outlast returns a context that goes on for a while after ctx has ended.
func outlast(ctx context.Context, while time.Duration) (context.Context, context.CancelFunc) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { // ends with lasting at the latest
		select {
		case <-time.After(while):
			cancel()
		case <-lasting.Done():
		}
	})
	return lasting, func() { stop(); cancel() }
}

// cleanUp removes what the run made, whether ctx has ended or not; see clearUp.
func (r *run) cleanUp(ctx context.Context, failed bool) error {
	if r.spec.Keep && !failed {
		return nil
	}
	began := time.Now()
	defer func() { r.report.Timings.CleanupMS = milliseconds(time.Since(began)) }()
	defer r.progress.Step("Removing " + count(len(r.servers), "server"))()
	return clearUp(ctx, failed, r.remove)
}

// clearUp removes what was made, whether ctx has ended or not, within the bounds
// above. After a run that went well it also returns the end of ctx: a user who
// interrupted the clean-up has interrupted the run.
func clearUp(ctx context.Context, failed bool, remove func(context.Context) error) error {
	ending, cancel := ending(ctx, failed)
	defer cancel()
	if err := remove(ending); err != nil {
		return &CleanUpError{err}
	}
	if failed {
		return nil
	}
	return context.Cause(ctx)
}

// ending returns a context for a clean-up, which goes on when ctx ends, or has
// ended, but not for ever.
func ending(ctx context.Context, failed bool) (context.Context, context.CancelFunc) {
	limit := finishedLimit
	if failed {
		limit = interruptedLimit
	}
	lasting, release := outlast(ctx, interruptedLimit)
	bounded, cancel := context.WithTimeout(lasting, limit)
	return bounded, func() { cancel(); release() }
}

// CleanUpError says that something was left behind, to be removed after its
// deadline.
type CleanUpError struct{ err error }

func (e *CleanUpError) Error() string { return e.err.Error() }

// Unwrap returns what kept it from being removed.
func (e *CleanUpError) Unwrap() error { return e.err }

// remove removes the servers and then their networks, which they keep in use.
func (r *run) remove(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error { return r.removePeer(ctx) })
	for _, s := range r.servers {
		if s.taken {
			continue
		}
		group.Go(func() error {
			defer s.releaseLease()
			return removeContainer(ctx, r.engine.API, s.name)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, name := range r.made {
		if err := removeNetwork(ctx, r.engine.API, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) releaseLease() {
	if s.lease != nil {
		s.lease.release()
	}
}

// removeContainer removes a container, running or not, with its anonymous
// volumes. One that is gone already, or was never made, is no error.
func removeContainer(ctx context.Context, api API, name string) error {
	err := persist(ctx, func() error {
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
	case <-responses:
		return nil
	case err := <-errs:
		return err
	}
}

func removeNetwork(ctx context.Context, api API, name string) error {
	if err := persist(ctx, func() error { return api.NetworkRemove(ctx, name) }); err != nil {
		return fmt.Errorf("removing network %s: %w", name, err)
	}
	return nil
}

func removeService(ctx context.Context, api API, name string) error {
	if err := persist(ctx, func() error { return api.ServiceRemove(ctx, name) }); err != nil {
		return fmt.Errorf("removing service %s: %w", name, err)
	}
	return nil
}

// listContainers lists containers, running or not. Podman fails to while one of
// them is ending ("read /proc/PID/cgroup: no such process", seen with 4.3), so it
// is asked again.
func listContainers(ctx context.Context, api API, by filters.Args) ([]container.Summary, error) {
	var containers []container.Summary
	err := persist(ctx, func() error {
		var err error
		containers, err = api.ContainerList(ctx, container.ListOptions{All: true, Filters: by})
		return err
	})
	return containers, err
}

// persist repeats an action until the engine has taken it: an engine that
// restarts is back within seconds.
func persist(ctx context.Context, action func() error) error {
	var last error
	err := backoff.Retry(func() error {
		last = action()
		if errdefs.IsNotFound(last) {
			last = nil
		}
		if permanent(last) {
			return backoff.Permanent(last)
		}
		return last
	}, backoff.WithContext(backoff.NewExponentialBackOff(backoff.WithInitialInterval(longestPause)), ctx))
	if err != nil && last != nil && !errors.Is(last, context.DeadlineExceeded) {
		return last // the engine's word says more than the end of the wait
	}
	return err
}

// permanent says whether repeating the request is pointless.
func permanent(err error) bool {
	return errdefs.IsInvalidArgument(err) || errdefs.IsPermissionDenied(err) || errdefs.IsUnauthorized(err)
}
