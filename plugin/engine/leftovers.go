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

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
)

// leftoversLimit bounds the removal of leftovers, which is done in parallel to the run.
// Each takes 0.2 s. A container that the engine cannot remove must not delay the end of
// the run.
const leftoversLimit = 10 * time.Second

// RemoveLeftovers removes what earlier runs have left with a deadline before now, and
// dead containers, which an engine that was killed could not remove and which cannot be
// started again. What cannot be removed is a note of the progress and does not fail this
// run. Containers, networks and services of this run are kept, even if their deadline
// seems to be over: the agent's clock may differ from that of the machine that has set
// the deadlines.
func RemoveLeftovers(ctx context.Context, engine Engine, run string, now time.Time, progress Progress) {
	limited, cancel := context.WithTimeout(ctx, leftoversLimit)
	defer cancel()
	removed, err := removeExpired(limited, engine, run, now)
	if err != nil && ctx.Err() == nil {
		progress.Note("could not remove leftovers of earlier runs: " + err.Error())
	}
	if removed > 0 {
		progress.Note("removed " + Plural(removed, "leftover") + " of earlier runs whose deadline had passed")
	}
}

func removeExpired(ctx context.Context, engine Engine, run string, now time.Time) (int, error) {
	api := engine.API
	left, err := ListLeftovers(ctx, api, engine.Omitted, now)
	if err != nil {
		return 0, fmt.Errorf("listing leftovers: %w", err)
	}
	left.excludeRun(run)
	var r removals
	for _, service := range left.Services { // they use their networks
		r.note(RemoveService(ctx, api, service.ID))
	}
	for _, c := range left.Containers {
		r.group.Go(func() {
			err := RemoveContainer(ctx, api, c.ID, nil)
			if err != nil || hasPassed(c.Labels[LabelDeadline], now) {
				r.note(err) // else a dead container: its own run may be removing it too, so it is not counted
			}
		})
	}
	for _, c := range left.tasks {
		r.group.Go(func() { awaitGone(ctx, api, c.ID) })
	}
	r.group.Wait() // networks can only be removed after their containers
	for _, n := range left.Networks {
		r.note(removeUnusedNetwork(ctx, api, n))
	}
	return r.count, errors.Join(r.errs...)
}

// Leftovers are the containers, networks and services that earlier runs have left.
type Leftovers struct {
	Containers []container.Summary
	Networks   []network.Summary
	Services   []swarm.Service
	Unlisted   []string // the kinds that the engine did not list, such as containers

	tasks []container.Summary // of the services
}

// ListLeftovers lists what has nestprobe's labels and a deadline before now, and dead
// containers that have nestprobe's labels. What the engine does not list is noted in
// omitted, which may be nil.
func ListLeftovers(ctx context.Context, api API, omitted *connection.Omitted, now time.Time) (Leftovers, error) {
	ours := filters.NewArgs(filters.Arg("label", LabelRun))
	limited, cancel := context.WithTimeout(ctx, connection.DetailTimeout)
	defer cancel()
	containers, err := ListContainers(limited, api, ours)
	var unlisted []string
	if omitted.Note(ctx, "GET /containers/json", err) {
		unlisted, err = append(unlisted, "containers"), nil
	}
	if err != nil {
		return Leftovers{}, err
	}
	networks, err := api.NetworkList(limited, network.ListOptions{Filters: ours})
	if omitted.Note(ctx, "GET /networks", err) {
		unlisted, err = append(unlisted, "networks"), nil
	}
	if err != nil {
		return Leftovers{}, err
	}
	tasks := slices.DeleteFunc(slices.Clone(containers), func(c container.Summary) bool { return !isTask(c) })
	left := Leftovers{
		Unlisted: unlisted,
		Containers: slices.DeleteFunc(containers, func(c container.Summary) bool {
			lasts := !hasPassed(c.Labels[LabelDeadline], now) && c.State != container.StateDead
			return isTask(c) || lasts || isStaleEntry(ctx, api, c)
		}),
		Networks: slices.DeleteFunc(networks, func(n network.Summary) bool {
			return !hasPassed(n.Labels[LabelDeadline], now)
		}),
	}
	return left, left.listServices(ctx, api, now, tasks)
}

// isStaleEntry says whether the engine lists a dead container that it cannot inspect.
// Engine 20.10 does so after it was killed, until its next start, if it removes a
// container while it registers the container's links.
func isStaleEntry(ctx context.Context, api API, c container.Summary) bool {
	if c.State != container.StateDead {
		return false
	}
	_, err := api.ContainerInspect(ctx, c.ID)
	return errdefs.IsNotFound(err)
}

// listServices adds the expired services of a Swarm, and their tasks. Every run that
// creates a service creates a network of the Swarm before and removes it afterwards, so
// the services are listed only if there is such a network.
func (l *Leftovers) listServices(ctx context.Context, api API, now time.Time, tasks []container.Summary) error {
	if !slices.ContainsFunc(l.Networks, isSwarmNetwork) {
		return nil
	}
	services, err := api.ServiceList(ctx, swarm.ServiceListOptions{Filters: filters.NewArgs(filters.Arg("label", LabelRun))})
	if errdefs.IsUnavailable(err) { // a worker, which lists the network but cannot remove it
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

// excludeRun removes from the lists what belongs to a run.
func (l *Leftovers) excludeRun(run string) {
	l.Containers = slices.DeleteFunc(l.Containers, func(c container.Summary) bool { return c.Labels[LabelRun] == run })
	l.Networks = slices.DeleteFunc(l.Networks, func(n network.Summary) bool { return n.Labels[LabelRun] == run })
	l.Services = slices.DeleteFunc(l.Services, func(s swarm.Service) bool { return s.Spec.Labels[LabelRun] == run })
	l.tasks = slices.DeleteFunc(l.tasks, func(c container.Summary) bool { return c.Labels[LabelRun] == run })
}

// serviceLabel is on the tasks of services. Swarm removes these containers with the
// service. If another process removes them, their network stays on the engine.
const serviceLabel = "com.docker.swarm.service.id"

func isTask(c container.Summary) bool { return c.Labels[serviceLabel] != "" }

// awaitGone waits until a container has been removed, or ctx ends: the removal of its
// network then reports what remains.
func awaitGone(ctx context.Context, api API, id string) {
	for {
		_, err := api.ContainerInspect(ctx, id)
		if errdefs.IsNotFound(err) || !Pause(ctx, RetryPause) {
			return
		}
	}
}

// isSwarmNetwork says whether a network belongs to a Swarm rather than to one engine.
func isSwarmNetwork(n network.Summary) bool { return n.Scope == "swarm" }

// removals are the results of removing leftovers in parallel. One that cannot be removed
// does not stop the others.
type removals struct {
	group sync.WaitGroup
	mu    sync.Mutex
	count int // of those removed
	errs  []error
}

func (r *removals) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.count++
		return
	}
	r.errs = append(r.errs, err)
}

// removeUnusedNetwork removes a network unless a container uses it. Docker refuses to
// remove such a network. Podman 4.3 refuses it for a network's name, but not for its ID,
// and the containers can then not be started again.
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
