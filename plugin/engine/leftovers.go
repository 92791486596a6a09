package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
)

// leftoversLimit bounds the removal of leftovers, which is done in parallel to the run.
// Each takes 0.2 s. A container that the engine cannot remove must not delay the end of
// the run.
const leftoversLimit = 10 * time.Second

// RemovalsAtOnce is how many containers are removed in parallel. It bounds the connections
// to the engine, which may list any number.
const RemovalsAtOnce = 16

// RemoveLeftovers removes what earlier runs have left with a deadline before now, and
// dead containers, which an engine that was killed could not remove and which cannot be
// started again. What cannot be removed is a note of the progress and does not fail this
// run; an engine that does not list its containers within bounds does. Containers, networks
// and services of this run are kept, even if their deadline seems to be over: the agent's
// clock may differ from that of the machine that has set the deadlines.
func RemoveLeftovers(ctx context.Context, engine Engine, run string, now time.Time, progress Progress) error {
	left, err := ListLeftovers(ctx, engine.API, engine.Omitted, now)
	if bounds.Is(err) {
		return fmt.Errorf("listing leftovers: %w", err)
	}
	var removed int
	if err == nil {
		left.excludeRun(run)
		removed, err = left.removeExpired(ctx, engine.API, now)
	}
	if err != nil && ctx.Err() == nil {
		progress.Note("could not remove leftovers of earlier runs: " + err.Error())
	}
	if removed > 0 {
		progress.Note("removed " + Plural(removed, "leftover") + " of earlier runs whose deadline had passed")
	}
	return nil
}

func (l *Leftovers) removeExpired(ctx context.Context, api API, now time.Time) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, leftoversLimit)
	defer cancel()
	counts := func(c container.Summary) bool {
		return hasPassed(c.Labels[LabelDeadline], now) // else it is dead, and its own run may be removing it too
	}
	return l.remove(ctx, api, counts, removeUnusedNetwork)
}

// RemoveRun removes what carries the label of a run, whatever its deadline, and returns how
// much there was. Containers with one of the names or IDs in others are removed by the caller.
// A network that they still use is removed after them; one that a container of the user has
// joined is not removed.
func RemoveRun(ctx context.Context, engine Engine, run string, others ...string) (found int, err error) {
	ours := filters.NewArgs(filters.Arg("label", LabelRun+"="+run))
	var containers []container.Summary
	err = Retry(ctx, func() (err error) {
		containers, err = ListContainers(ctx, engine.API, ours)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("listing the containers of run %s: %w", run, err)
	}
	var networks []network.Summary
	err = Retry(ctx, func() (err error) {
		networks, err = engine.API.NetworkList(ctx, network.ListOptions{Filters: ours})
		return err
	})
	if err != nil && !engine.Omitted.Note(ctx, "GET /networks", err) {
		return 0, fmt.Errorf("listing the networks of run %s: %w", run, err)
	}
	isOthers := func(c container.Summary) bool {
		return slices.Contains(others, c.ID) || slices.ContainsFunc(c.Names, func(name string) bool { return slices.Contains(others, strings.TrimPrefix(name, "/")) })
	}
	left := Leftovers{
		Containers: slices.DeleteFunc(slices.Clone(containers), func(c container.Summary) bool { return isTask(c) || isOthers(c) }),
		Networks:   networks,
	}
	tasks := slices.DeleteFunc(containers, func(c container.Summary) bool { return !isTask(c) })
	if err := left.listServices(ctx, engine.API, ours, tasks, func(map[string]string) bool { return true }); err != nil {
		return 0, fmt.Errorf("listing the services of run %s: %w", run, err)
	}
	all := func(container.Summary) bool { return true }
	_, err = left.remove(ctx, engine.API, all, func(ctx context.Context, api API, n network.Summary) error {
		return RemoveNetwork(ctx, api, n.Name) // see removeUnusedNetwork
	})
	return len(left.Containers) + len(left.Networks) + len(left.Services), err
}

// remove removes the services, the containers and then the networks, and returns how many
// it has removed of those that count. What cannot be removed does not stop the others.
func (l *Leftovers) remove(ctx context.Context, api API, counts func(container.Summary) bool, removeNetwork func(context.Context, API, network.Summary) error) (int, error) {
	var r removals
	r.group.SetLimit(RemovalsAtOnce)
	for _, service := range l.Services { // they use their networks
		r.note(RemoveService(ctx, api, service.ID))
	}
	for _, c := range l.Containers {
		r.group.Go(func() error {
			if err := RemoveContainer(ctx, api, c.ID, nil); err != nil || counts(c) {
				r.note(err)
			}
			return nil
		})
	}
	for _, c := range l.tasks {
		r.group.Go(func() error {
			awaitGone(ctx, api, c.ID)
			return nil
		})
	}
	_ = r.group.Wait() // networks can only be removed after their containers; no function returns an error
	for _, n := range l.Networks {
		r.group.Go(func() error {
			r.note(removeNetwork(ctx, api, n))
			return nil
		})
	}
	_ = r.group.Wait()
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

// ListLeftovers lists what has nestprobe's labels and a deadline before now, unless its
// runner still runs, and dead containers that have nestprobe's labels. What the engine
// does not list is noted in omitted, which may be nil.
func ListLeftovers(ctx context.Context, api API, omitted *connection.Omitted, now time.Time) (Leftovers, error) {
	ours := filters.NewArgs(filters.Arg("label", LabelRun))
	containers, err := ListContainers(ctx, api, ours)
	var unlisted []string
	if omitted.Note(ctx, "GET /containers/json", err) {
		unlisted, err = append(unlisted, "containers"), nil
	}
	if err != nil {
		return Leftovers{}, err
	}
	networks, err := api.NetworkList(ctx, network.ListOptions{Filters: ours})
	if omitted.Note(ctx, "GET /networks", err) {
		unlisted, err = append(unlisted, "networks"), nil
	}
	if err != nil {
		return Leftovers{}, err
	}
	isOver := overAt(now, containers)
	limited, cancel := context.WithTimeout(ctx, bounds.AnswerTime)
	defer cancel()
	tasks := slices.DeleteFunc(slices.Clone(containers), func(c container.Summary) bool { return !isTask(c) })
	left := Leftovers{
		Unlisted: unlisted,
		Containers: slices.DeleteFunc(containers, func(c container.Summary) bool {
			lasts := !isOver(c.Labels) && c.State != container.StateDead
			return isTask(c) || lasts || isStaleEntry(limited, api, c)
		}),
		Networks: slices.DeleteFunc(networks, func(n network.Summary) bool {
			return !isOver(n.Labels)
		}),
	}
	return left, left.listServices(ctx, api, ours, tasks, func(labels map[string]string) bool {
		return hasPassed(labels[LabelDeadline], now)
	})
}

// overAt returns whether what has such labels may be removed at a time: its deadline has
// passed, and its runner, if it has one, is not among the containers that run.
func overAt(now time.Time, containers []container.Summary) func(labels map[string]string) bool {
	running := map[string]bool{}
	for _, c := range containers {
		running[c.ID] = c.State == container.StateRunning || c.State == container.StatePaused
	}
	return func(labels map[string]string) bool {
		return hasPassed(labels[LabelDeadline], now) && !running[labels[LabelRunner]]
	}
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

// listServices adds those services of a Swarm that may be removed, and their tasks. Every
// run that creates a service creates a network of the Swarm before and removes it
// afterwards, so the services are listed only if there is such a network.
func (l *Leftovers) listServices(ctx context.Context, api API, by filters.Args, tasks []container.Summary, mayGo func(labels map[string]string) bool) error {
	if !slices.ContainsFunc(l.Networks, isSwarmNetwork) {
		return nil
	}
	services, err := api.ServiceList(ctx, swarm.ServiceListOptions{Filters: by})
	if errdefs.IsUnavailable(err) { // a worker, which lists the network but cannot remove it
		l.Networks = slices.DeleteFunc(l.Networks, isSwarmNetwork)
		return nil
	}
	if err != nil {
		return err
	}
	l.Services = slices.DeleteFunc(services, func(s swarm.Service) bool {
		return !mayGo(s.Spec.Labels)
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
	group errgroup.Group
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
