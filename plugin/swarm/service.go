package swarm

import (
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

// errPortTaken says that a node has something else at the port.
var errPortTaken = errors.New("the port is taken on a node")

// startServers starts a server on every node that takes containers, and waits for
// them. Swarm chooses no ports for the mode host, so this does, until one is free
// everywhere.
func (r *nodesRun) startServers(ctx context.Context) error {
	defer r.options.Progress.Step("Starting a server on every node")()
	for attempt := range portAttempts {
		r.port = highPort()
		services, err := r.createServices(ctx, fmt.Sprintf("server%d", attempt+1), r.serverTask())
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
	return fmt.Errorf("starting servers on the nodes: %d ports were tried, and each is taken on a node", portAttempts)
}

// Ports below those that systems choose for themselves, and above those that people
// choose (Linux: 32768, net.ipv4.ip_local_port_range).
const (
	firstHighPort = 20000
	highPorts     = 12000
)

func highPort() uint16 { return uint16(firstHighPort + rand.IntN(highPorts)) } //nolint:gosec // no secret

// containerSpec gives an agent on a node the least it needs.
func (r *nodesRun) containerSpec(args ...string) *swarm.ContainerSpec {
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

func (r *nodesRun) serverTask() swarm.ServiceSpec {
	container := r.containerSpec("serve",
		"--port", strconv.Itoa(int(r.spec.Port)),
		"--scheme", string(r.spec.Scheme),
		"--deadline", r.labels.Lifetime.String())
	container.Env = []string{IdentityVariable + "=" + r.token + "-{{.Node.ID}}"}
	spec := swarm.ServiceSpec{
		TaskTemplate: swarm.TaskSpec{ContainerSpec: container, LogDriver: &swarm.Driver{Name: "none"}},
	}
	spec.EndpointSpec = &swarm.EndpointSpec{
		// Not by a virtual address: each server is meant by itself.
		Mode: swarm.ResolutionModeDNSRR,
		Ports: []swarm.PortConfig{{
			Protocol:      swarm.PortConfigProtocolTCP,
			TargetPort:    uint32(r.spec.Port),
			PublishedPort: uint32(r.port),
			PublishMode:   swarm.PortConfigPublishModeHost,
		}},
	}
	return spec
}

// identity is what the server on a node answers with.
func (r *nodesRun) identity(n *node) string { return r.token + "-" + n.ID }

// createServices makes a global service for each platform among the nodes, and
// returns their names.
func (r *nodesRun) createServices(ctx context.Context, role string, spec swarm.ServiceSpec) ([]string, error) {
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
		made := spec
		made.Name, made.Labels = name, r.labels.Values()
		made.Mode = swarm.ServiceMode{Global: &swarm.GlobalService{}}
		made.TaskTemplate.ContainerSpec = &container
		made.TaskTemplate.RestartPolicy = &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionNone}
		made.TaskTemplate.Networks = []swarm.NetworkAttachmentConfig{{Target: r.network}}
		made.TaskTemplate.Placement = &swarm.Placement{Constraints: []string{
			"node.platform.os==" + image.platform.OS,
			"node.platform.arch==" + image.platform.Architecture,
		}}
		r.made = append(r.made, name)
		names = append(names, name)
		if err := r.createService(ctx, made); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func (r *nodesRun) createService(ctx context.Context, spec swarm.ServiceSpec) error {
	creating, cancel := engine.Outlast(ctx) // see server.create
	defer cancel()
	created, err := r.options.Manager.ServiceCreate(creating, spec, swarm.ServiceCreateOptions{QueryRegistry: false})
	r.services[created.ID] = spec.Name
	if errdefs.IsConflict(err) {
		r.made = slices.DeleteFunc(r.made, func(name string) bool { return name == spec.Name }) // somebody else's
	}
	if err != nil {
		return fmt.Errorf("creating service %s: %w", spec.Name, err)
	}
	return nil
}

// taskPoll is the pause between two looks at the tasks, of which Swarm has no
// events. It is docker service create's own.
const taskPoll = 200 * time.Millisecond

// awaitTasks looks at the tasks of services until settled is true for each node, or
// the wait is over. It is called with the node as it is now, and with its task, nil
// for none.
func (r *nodesRun) awaitTasks(ctx context.Context, services []string, wait time.Duration, settled func(*node, *swarm.Task) (bool, error)) error {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		over := !engine.Pause(waiting, taskPoll)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		tasks, err := r.tasks(ctx, services)
		if err != nil {
			return err
		}
		if err := r.refresh(ctx); err != nil {
			return err
		}
		all := true
		for _, n := range r.nodes {
			done, err := settled(n, tasks[n.ID])
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

// tasks returns the task that services have on each node.
func (r *nodesRun) tasks(ctx context.Context, services []string) (map[string]*swarm.Task, error) {
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

// refresh notes nodes that have gone down since.
func (r *nodesRun) refresh(ctx context.Context) error {
	found, err := r.options.Manager.NodeList(ctx, swarm.NodeListOptions{})
	if err != nil {
		return fmt.Errorf("listing the nodes of the Swarm: %w", err)
	}
	for i, n := range r.nodes {
		at := slices.IndexFunc(found, func(f swarm.Node) bool { return f.ID == n.ID })
		if at < 0 {
			continue // it has left
		}
		n.Node = found[at]
		r.report.Nodes[i].State = stateOf(n.Node)
	}
	return nil
}

// awaitServers waits until every node that takes containers has a server, or a
// reason why not.
func (r *nodesRun) awaitServers(ctx context.Context, services []string) error {
	for _, n := range r.nodes {
		n.server = nil
	}
	err := r.awaitTasks(ctx, services, r.spec.Wait, func(n *node, t *swarm.Task) (bool, error) {
		switch {
		case n.absent != "":
			return true, nil
		case !takes(n.Node):
			n.absent = "it is " + stateOf(n.Node) + " since the command began"
		case t == nil || t.Status.State == swarm.TaskStatePending && !takesPort(t):
			return false, nil
		case takesPort(t):
			return false, errPortTaken
		case t.Status.State == swarm.TaskStateRunning:
			n.server = t
			return true, nil
		case ended(t):
			n.absent, n.lacking = failureOf(t), lacksImage(t)
		default:
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return err // there may be another attempt
	}
	for _, n := range r.nodes {
		if n.server == nil && n.absent == "" {
			n.absent = fmt.Sprintf("it has started no server within %s", r.spec.Wait)
		}
		if n.server == nil {
			n.silent = n.absent
		}
	}
	return nil
}

// ended says whether a task will not run any more.
func ended(t *swarm.Task) bool {
	switch t.Status.State {
	case swarm.TaskStateComplete, swarm.TaskStateFailed, swarm.TaskStateRejected,
		swarm.TaskStateShutdown, swarm.TaskStateOrphaned, swarm.TaskStateRemove:
		return true
	default:
		return false
	}
}

// failureOf is why a task ended, in Swarm's words.
func failureOf(t *swarm.Task) string {
	why := t.Status.Err
	if why == "" {
		why = t.Status.Message
	}
	return fmt.Sprintf("its task was %s: %s", t.Status.State, why)
}

// Swarm tells these by their words alone: of its agent for an image that is not
// there (moby, daemon/images), of its scheduler for a port that another service has
// (swarmkit, manager/scheduler, HostPortFilter), and of the engine for one that
// another process has.
func lacksImage(t *swarm.Task) bool { return strings.Contains(t.Status.Err, "No such image") }

func takesPort(t *swarm.Task) bool {
	return strings.Contains(t.Status.Err, "host-mode port already in use") || engine.PortIsTaken(t.Status.Err)
}

// drain waits until the nodes that answer have ended the containers of services
// that were removed, and the manager has removed its own: the others do that at the
// same time, about 2 s later. Those that do not answer will do it when they are back.
func (r *nodesRun) drain(ctx context.Context) {
	waiting, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	for !r.drained(waiting) && engine.Pause(waiting, taskPoll) {
	}
}

func (r *nodesRun) drained(ctx context.Context) bool {
	by := filters.NewArgs(filters.Arg("label", engine.LabelRun+"="+r.id))
	tasks, err := r.options.Manager.TaskList(ctx, swarm.TaskListOptions{Filters: by})
	if err != nil || slices.ContainsFunc(tasks, r.answers) {
		return false
	}
	containers, err := engine.ListContainers(ctx, r.engine.API, by)
	return err == nil && len(containers) == 0
}

// answers says whether the node of a task is one that will report its end.
func (r *nodesRun) answers(t swarm.Task) bool {
	return slices.ContainsFunc(r.nodes, func(n *node) bool {
		return n.ID == t.NodeID && n.Status.State == swarm.NodeStateReady
	})
}
