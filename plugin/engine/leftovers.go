package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"golang.org/x/sync/errgroup"
)

// leftoversLimit bounds the removal of leftovers, which goes on beside the run. One
// of them takes 0.2 s; a container that an engine is unable to remove must not
// keep the run from ending.
const leftoversLimit = 10 * time.Second

// sweep removes what earlier runs left behind and whose deadline lies before
// now, and dead containers: an engine that was killed could not remove those, and
// nobody can start them any more. What it cannot remove it tells of; that does not
// spoil this run, whose own are left alone: an agent sweeps by the clock of another
// machine than the one that has set the deadlines, and at a time of its own.
func RemoveLeftovers(ctx context.Context, api API, run string, now time.Time, progress Progress) {
	sweeping, cancel := context.WithTimeout(ctx, leftoversLimit)
	defer cancel()
	swept, err := removeExpired(sweeping, api, run, now)
	if err != nil && ctx.Err() == nil {
		progress.Note("could not remove leftovers of earlier runs: " + err.Error())
	}
	if swept > 0 {
		progress.Note("removed " + Plural(swept, "leftover") + " of earlier runs whose deadline had passed")
	}
}

func removeExpired(ctx context.Context, api API, run string, now time.Time) (int, error) {
	left, err := ListLeftovers(ctx, api, now)
	if err != nil {
		return 0, fmt.Errorf("listing them: %w", err)
	}
	left.excludeRun(run)
	var s swept
	for _, service := range left.Services { // they keep their networks in use
		_ = s.note(RemoveService(ctx, api, service.ID))
	}
	for _, c := range left.Containers {
		s.group.Go(func() error {
			err := RemoveContainer(ctx, api, c.ID)
			if err == nil && !hasPassed(c.Labels[LabelDeadline], now) {
				return nil // a dead one, which its own run may be removing just now: nothing to tell of
			}
			return s.note(err)
		})
	}
	for _, c := range left.tasks {
		s.group.Go(func() error { return awaitGone(ctx, api, c.ID) })
	}
	_ = s.group.Wait() // the networks go only after their containers; all errors are noted
	for _, n := range left.Networks {
		_ = s.note(removeUnusedNetwork(ctx, api, n))
	}
	return s.count, errors.Join(s.errs...)
}

// Leftovers are what earlier runs left behind.
type Leftovers struct {
	Containers []container.Summary
	Networks   []network.Summary
	Services   []swarm.Service

	tasks []container.Summary // of the services
}

// ListLeftovers lists what carries nestprobe's labels and a deadline before now,
// and dead containers.
func ListLeftovers(ctx context.Context, api API, now time.Time) (Leftovers, error) {
	ours := filters.NewArgs(filters.Arg("label", LabelRun))
	containers, err := ListContainers(ctx, api, ours)
	if err != nil {
		return Leftovers{}, err
	}
	networks, err := api.NetworkList(ctx, network.ListOptions{Filters: ours})
	if err != nil {
		return Leftovers{}, err
	}
	tasks := slices.DeleteFunc(slices.Clone(containers), func(c container.Summary) bool { return !isTask(c) })
	left := Leftovers{
		Containers: slices.DeleteFunc(containers, func(c container.Summary) bool {
			return isTask(c) || !hasPassed(c.Labels[LabelDeadline], now) && c.State != container.StateDead
		}),
		Networks: slices.DeleteFunc(networks, func(n network.Summary) bool {
			return !hasPassed(n.Labels[LabelDeadline], now)
		}),
	}
	left.Containers = slices.DeleteFunc(left.Containers, func(c container.Summary) bool { return isStaleEntry(ctx, api, c) })
	return left, left.listServices(ctx, api, now, tasks)
}

// isStaleEntry says whether the engine lists a dead container and knows of none. One that
// was killed, 20.10, does so until its next start, if it removes a container while it
// registers the container's links.
func isStaleEntry(ctx context.Context, api API, c container.Summary) bool {
	if c.State != container.StateDead {
		return false
	}
	_, err := api.ContainerInspect(ctx, c.ID)
	return errdefs.IsNotFound(err)
}

// listServices lists those of a Swarm. Every run that makes one makes a network of
// the Swarm first and removes it last, so where there is none nobody is asked. Those
// of the tasks that are of these services are kept too.
func (l *Leftovers) listServices(ctx context.Context, api API, now time.Time, tasks []container.Summary) error {
	if !slices.ContainsFunc(l.Networks, isSwarmNetwork) {
		return nil
	}
	services, err := api.ServiceList(ctx, swarm.ServiceListOptions{Filters: filters.NewArgs(filters.Arg("label", LabelRun))})
	if errdefs.IsUnavailable(err) { // a worker, which sees the network and cannot remove it
		l.Networks = slices.DeleteFunc(l.Networks, isSwarmNetwork)
		return nil
	}
	if err != nil {
		return err
	}
	l.Services = slices.DeleteFunc(services, func(s swarm.Service) bool {
		return !hasPassed(s.Spec.Labels[LabelDeadline], now)
	})
	l.tasks = slices.DeleteFunc(tasks, func(c container.Summary) bool {
		return !slices.ContainsFunc(l.Services, func(s swarm.Service) bool { return s.ID == c.Labels[serviceLabel] })
	})
	return nil
}

// excludeRun takes away what is of a run.
func (l *Leftovers) excludeRun(run string) {
	l.Containers = slices.DeleteFunc(l.Containers, func(c container.Summary) bool { return c.Labels[LabelRun] == run })
	l.Networks = slices.DeleteFunc(l.Networks, func(n network.Summary) bool { return n.Labels[LabelRun] == run })
	l.Services = slices.DeleteFunc(l.Services, func(s swarm.Service) bool { return s.Spec.Labels[LabelRun] == run })
	l.tasks = slices.DeleteFunc(l.tasks, func(c container.Summary) bool { return c.Labels[LabelRun] == run })
}

// serviceLabel is on the containers of services, which Swarm removes with these. When
// somebody else does, their network stays on the engine.
const serviceLabel = "com.docker.swarm.service.id"

func isTask(c container.Summary) bool { return c.Labels[serviceLabel] != "" }

// awaitGone waits until a container has been removed.
func awaitGone(ctx context.Context, api API, id string) error {
	for {
		_, err := api.ContainerInspect(ctx, id)
		if errdefs.IsNotFound(err) {
			return nil
		}
		if !Pause(ctx, RetryPause) {
			return nil // what remains is told of by its network
		}
	}
}

// isSwarmNetwork says whether a network is a Swarm's rather than one engine's.
func isSwarmNetwork(n network.Summary) bool { return n.Scope == "swarm" }

// swept is what became of the leftovers. One that cannot be removed does not
// keep the others from it.
type swept struct {
	group errgroup.Group
	mu    sync.Mutex
	count int
	errs  []error
}

func (s *swept) note(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.errs = append(s.errs, err)
		return err
	}
	s.count++
	return nil
}

// removeUnusedNetwork removes a network unless somebody uses it. Docker refuses that by
// itself. Podman 4.3 refuses it for a network's name, but not for its id, and its
// containers then cannot be started again.
func removeUnusedNetwork(ctx context.Context, api API, n network.Summary) error {
	found, err := api.NetworkInspect(ctx, n.ID, network.InspectOptions{})
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("inspecting network %s: %w", n.Name, err)
	}
	for _, user := range found.Containers {
		return fmt.Errorf("network %s is in use by %s", n.Name, user.Name)
	}
	return RemoveNetwork(ctx, api, n.ID)
}
