package swarm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// portAttempts is how many ports are tried until one is free on every node.
const portAttempts = 3

// errPortTaken says that the port is in use on a node.
var errPortTaken = errors.New("the port is in use on a node")

// startServers starts a server on every node that accepts tasks, and waits for them. Swarm
// chooses no host ports for services in mode host, so this tries ports until one is free on
// all nodes.
func (r *run) startServers(ctx context.Context) error {
	defer r.options.Progress.Step("Starting a server on every node")()
	for attempt := range portAttempts {
		r.port = randomPort()
		services, err := r.createServices(ctx, fmt.Sprintf("server%d", attempt+1), r.newServerSpec())
		if err != nil {
			return err
		}
		err = r.awaitServers(ctx, services)
		if !errors.Is(err, errPortTaken) {
			return err
		}
		for _, service := range services {
			if err := engine.RemoveService(ctx, r.engine.API, service); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("starting servers on the nodes: %d ports were tried, and each is in use on a node", portAttempts)
}

// Ports for servers on nodes: below the ephemeral ports (Linux: from 32768,
// net.ipv4.ip_local_port_range), and above those in common use.
const (
	firstPort = 20000
	ports     = 12000
)

func randomPort() uint16 { return uint16(firstPort + rand.IntN(ports)) } //nolint:gosec // no secret

// newContainerSpec returns the spec of an agent on a node, with the least rights it needs.
func (r *run) newContainerSpec(args ...string) *swarm.ContainerSpec {
	grace := time.Second
	return &swarm.ContainerSpec{
		Labels:          r.labels.Values(),
		Args:            args,
		ReadOnly:        true,
		CapabilityDrop:  []string{"ALL"},
		Privileges:      &swarm.Privileges{NoNewPrivileges: true},
		StopGracePeriod: &grace,
	}
}

// newServerSpec returns the spec of the servers, but for what createServices adds.
func (r *run) newServerSpec() swarm.ServiceSpec {
	container := r.newContainerSpec("serve",
		"--port", strconv.Itoa(int(r.request.Port)),
		"--scheme", string(r.request.Target.Scheme),
		"--deadline", r.labels.Lifetime.String())
	container.Env = []string{IdentityVariable + "=" + r.token + "-{{.Node.ID}}"}
	return swarm.ServiceSpec{
		TaskTemplate: swarm.TaskSpec{ContainerSpec: container, LogDriver: &swarm.Driver{Name: "none"}},
		EndpointSpec: &swarm.EndpointSpec{
			// No virtual address: each server is probed separately.
			Mode: swarm.ResolutionModeDNSRR,
			Ports: []swarm.PortConfig{{
				Protocol:      swarm.PortConfigProtocolTCP,
				TargetPort:    uint32(r.request.Port),
				PublishedPort: uint32(r.port),
				PublishMode:   swarm.PortConfigPublishModeHost,
			}},
		},
	}
}

// identity is the token in the answers of the server on a node.
func (r *run) identity(n *node) string { return r.token + "-" + n.ID }

// createServices creates a global service for each platform among the nodes, and returns
// their names.
func (r *run) createServices(ctx context.Context, role string, spec swarm.ServiceSpec) ([]string, error) {
	var names []string
	for _, image := range r.images {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		name := "nestprobe-" + r.id + "-" + role
		if len(r.images) > 1 {
			name += "-" + goArch(image.platform)
		}
		container := *spec.TaskTemplate.ContainerSpec
		container.Image = image.ref
		service := spec
		service.Name, service.Labels = name, r.labels.Values()
		service.Mode = swarm.ServiceMode{Global: &swarm.GlobalService{}}
		service.TaskTemplate.ContainerSpec = &container
		service.TaskTemplate.RestartPolicy = &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionNone}
		service.TaskTemplate.Networks = []swarm.NetworkAttachmentConfig{{Target: r.network}}
		service.TaskTemplate.Placement = &swarm.Placement{Constraints: []string{
			"node.platform.os==" + image.platform.OS,
			"node.platform.arch==" + image.platform.Architecture,
		}}
		r.created = append(r.created, name)
		names = append(names, name)
		if err := r.createService(ctx, service); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func (r *run) createService(ctx context.Context, spec swarm.ServiceSpec) error {
	creating, cancel := engine.Extend(ctx, engine.CreateGrace) // an interrupted request may still create it
	defer cancel()
	created, err := r.options.Manager.ServiceCreate(creating, spec, swarm.ServiceCreateOptions{QueryRegistry: false})
	r.services[created.ID] = spec.Name
	if errdefs.IsConflict(err) {
		r.created = slices.DeleteFunc(r.created, func(name string) bool { return name == spec.Name }) // it is not of this run
	}
	if err != nil {
		return fmt.Errorf("creating service %s: %w", spec.Name, err)
	}
	return nil
}

// taskPoll is the interval for polling tasks, for which Swarm sends no events. docker
// service create has the same.
const taskPoll = 200 * time.Millisecond

// awaitTasks polls the tasks of services until isDone is true for every node, or the wait
// is over. It calls isDone with the refreshed node and its task, nil for none.
func (r *run) awaitTasks(ctx context.Context, services []string, wait time.Duration, isDone func(*node, *swarm.Task) (bool, error)) error {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		over := !engine.Pause(waiting, taskPoll)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		tasks, err := r.listTasks(ctx, services)
		if err != nil {
			return err
		}
		if err := r.refreshNodes(ctx); err != nil {
			return err
		}
		all := true
		for _, n := range r.nodes {
			done, err := isDone(n, tasks[n.ID])
			if err != nil {
				return err
			}
			all = all && done
		}
		if all || over {
			return nil
		}
	}
}

// listTasks returns the task of services on each node, by the node's id.
func (r *run) listTasks(ctx context.Context, services []string) (map[string]*swarm.Task, error) {
	by := filters.NewArgs()
	for _, service := range services {
		by.Add("service", service)
	}
	found, err := r.options.Manager.TaskList(ctx, swarm.TaskListOptions{Filters: by})
	if err != nil {
		return nil, fmt.Errorf("listing the tasks of %s: %w", strings.Join(services, ", "), err)
	}
	tasks := map[string]*swarm.Task{}
	for i, t := range found {
		tasks[t.NodeID] = &found[i]
	}
	return tasks, nil
}

// refreshNodes updates the states of the nodes.
func (r *run) refreshNodes(ctx context.Context) error {
	found, err := r.options.Manager.NodeList(ctx, swarm.NodeListOptions{})
	if err != nil {
		return fmt.Errorf("listing the nodes of the Swarm: %w", err)
	}
	for i, n := range r.nodes {
		at := slices.IndexFunc(found, func(f swarm.Node) bool { return f.ID == n.ID })
		if at < 0 {
			continue // it has left the Swarm
		}
		n.Node = found[at]
		r.report.Nodes[i].State = stateOf(n.Node)
	}
	return nil
}

// awaitServers waits until every node that accepts tasks has a server or a serverError.
func (r *run) awaitServers(ctx context.Context, services []string) error {
	for _, n := range r.nodes {
		n.server = nil
	}
	err := r.awaitTasks(ctx, services, r.request.Wait, func(n *node, t *swarm.Task) (bool, error) {
		switch {
		case n.serverError != "":
			return true, nil
		case !acceptsTasks(n.Node):
			n.serverError = "it is " + stateOf(n.Node) + " since the command began"
		case t == nil:
			return false, nil
		case isPortTaken(t):
			return false, errPortTaken
		case t.Status.State == swarm.TaskStateRunning:
			n.server = t
			return true, nil
		case hasEnded(t):
			n.serverError, n.imageMissing = taskError(t), isImageMissing(t)
		default:
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return err // there may be another attempt
	}
	for _, n := range r.nodes {
		if n.server == nil && n.serverError == "" {
			n.serverError = fmt.Sprintf("it has started no server within %s", r.request.Wait)
		}
		if n.server == nil {
			n.helperError = n.serverError
		}
	}
	return nil
}

// hasEnded says whether a task has ended for good.
func hasEnded(t *swarm.Task) bool {
	switch t.Status.State {
	case swarm.TaskStateComplete, swarm.TaskStateFailed, swarm.TaskStateRejected,
		swarm.TaskStateShutdown, swarm.TaskStateOrphaned, swarm.TaskStateRemove:
		return true
	default:
		return false
	}
}

// taskError is Swarm's message about a task that has ended.
func taskError(t *swarm.Task) string {
	return fmt.Sprintf("its task was %s: %s", t.Status.State, cmp.Or(t.Status.Err, t.Status.Message))
}

// Only the message of a task shows these errors. The sources are Swarm's agent for a missing
// image (moby, daemon/images), its scheduler for a port that another service uses (swarmkit,
// manager/scheduler, HostPortFilter), and the engine for a port that another process uses.
func isImageMissing(t *swarm.Task) bool { return strings.Contains(t.Status.Err, "No such image") }

func isPortTaken(t *swarm.Task) bool {
	return strings.Contains(t.Status.Err, "host-mode port already in use") || engine.PortIsTaken(t.Status.Err)
}

// awaitRemoval waits until the nodes that are ready have ended the containers of removed
// services, and the manager has removed its own: the others remove theirs at the same time,
// about 2 s after the end. Nodes that are down remove theirs when they are back.
func (r *run) awaitRemoval(ctx context.Context) {
	waiting, cancel := context.WithTimeout(ctx, removalLimit)
	defer cancel()
	for !r.isRemoved(waiting) && engine.Pause(waiting, taskPoll) {
	}
}

func (r *run) isRemoved(ctx context.Context) bool {
	by := filters.NewArgs(filters.Arg("label", engine.LabelRun+"="+r.id))
	tasks, err := r.options.Manager.TaskList(ctx, swarm.TaskListOptions{Filters: by})
	if err != nil || slices.ContainsFunc(tasks, r.isOnReadyNode) {
		return false
	}
	containers, err := engine.ListContainers(ctx, r.engine.API, by)
	return err == nil && len(containers) == 0
}

// isOnReadyNode says whether the node of a task is ready, and so will report its end.
func (r *run) isOnReadyNode(t swarm.Task) bool {
	return slices.ContainsFunc(r.nodes, func(n *node) bool {
		return n.ID == t.NodeID && n.Status.State == swarm.NodeStateReady
	})
}
