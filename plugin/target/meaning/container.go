package meaning

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
)

// Labels that Compose sets on its containers (compose-spec, and docker/compose,
// pkg/api/labels.go).
const (
	LabelService = "com.docker.compose.service"
	LabelProject = "com.docker.compose.project"
	labelSwarm   = "com.docker.swarm.service.name" // that the engine sets on the tasks of a service
	labelOneOff  = "com.docker.compose.oneoff"     // of docker compose run
)

// maxName bounds an unknown name in a message. Names in use are shorter.
const maxName = 255

// maxCandidates bounds how many containers are inspected for an alias. An inspect takes
// 1 ms.
const maxCandidates = 200

// NotFoundError says that the engine has no container and no service with a name.
type NotFoundError struct{ Name string }

// Error says where the containers are listed.
func (e *NotFoundError) Error() string {
	return fmt.Sprintf("there is no container or service %s: docker ps -a lists the containers", netprobe.Visible(e.Name, maxName))
}

// Find inspects the container that the user means: by name or id, as a Compose service,
// or by an alias on a network.
func (r *Resolver) Find(ctx context.Context, name string) (container.InspectResponse, error) {
	response, err := facts.InspectContainer(ctx, r.Reader, name)
	if !errdefs.IsNotFound(err) {
		return response, err
	}
	shown := netprobe.Visible(name, maxName)
	found, err := r.byService(ctx, name, "")
	if err == nil && len(found) == 0 {
		found, err = r.byAlias(ctx, name)
	}
	switch {
	case err != nil:
		return response, fmt.Errorf("looking for the service %s: %w", shown, err)
	case len(found) == 0:
		return response, &NotFoundError{Name: name}
	case len(found) > 1:
		return response, several(name, found)
	default:
		return facts.InspectContainer(ctx, r.Reader, found[0].ID)
	}
}

// several is the error of a name that several containers have.
func several(name string, found []container.Summary) error {
	names := make([]string, len(found))
	for i, c := range found {
		names[i] = summaryName(c)
	}
	slices.Sort(names)
	return fmt.Errorf("several containers are called %s: choose one of %s", netprobe.Visible(name, maxName), strings.Join(names, ", "))
}

// byService lists the running containers of a Compose service, or of one of a Swarm, or all of
// them if none runs: of one project, or of all if it is empty. It leaves out those of docker
// compose run.
func (r *Resolver) byService(ctx context.Context, name, project string) ([]container.Summary, error) {
	labels := filters.NewArgs(filters.Arg("label", LabelService+"="+name))
	if project != "" {
		labels.Add("label", LabelProject+"="+project)
	}
	all, err := engine.ListContainers(ctx, r.Reader, labels)
	if err == nil && len(all) == 0 && project == "" {
		all, err = engine.ListContainers(ctx, r.Reader, filters.NewArgs(filters.Arg("label", labelSwarm+"="+name)))
	}
	all = slices.DeleteFunc(all, func(c container.Summary) bool { return c.Labels[labelOneOff] == "True" })
	if running := slices.DeleteFunc(slices.Clone(all), notRunning); len(running) > 0 {
		return running, err
	}
	return all, err
}

func notRunning(c container.Summary) bool { return c.State != container.StateRunning }

// byAlias lists the running containers that have a name as an alias on one of their
// networks. Only an inspect shows aliases.
func (r *Resolver) byAlias(ctx context.Context, name string) ([]container.Summary, error) {
	all, err := engine.ListContainers(ctx, r.Reader, filters.NewArgs())
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, notRunning)
	var found []container.Summary
	for _, c := range all[:min(len(all), maxCandidates)] {
		response, err := facts.InspectContainer(ctx, r.Reader, c.ID)
		switch {
		case ctx.Err() != nil || client.IsErrConnectionFailed(err):
			return nil, err
		case err != nil: // it is gone by now; Podman 4.3 reports that with status 500
		case slices.Contains(facts.ReadContainer(response, 0).Aliases, name):
			found = append(found, c)
		}
	}
	return found, nil
}

// ListReplicas returns the names of the other running containers of a container's Compose
// service. The service's name leads to any of them.
func (r *Resolver) ListReplicas(ctx context.Context, response container.InspectResponse) ([]string, error) {
	name := ServiceOf(response)
	if name == "" {
		return nil, nil
	}
	all, err := r.byService(ctx, name, response.Config.Labels[LabelProject])
	if err != nil {
		return nil, fmt.Errorf("looking for the service %s: %w", netprobe.Visible(name, maxName), err)
	}
	var others []string
	for _, c := range all {
		if c.ID != response.ID && !notRunning(c) && c.Labels[LabelProject] == response.Config.Labels[LabelProject] {
			others = append(others, summaryName(c))
		}
	}
	slices.Sort(others)
	return others, nil
}

func summaryName(c container.Summary) string {
	for _, name := range c.Names {
		if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") { // else it is a link
			return name
		}
	}
	return c.ID
}

// ServiceOf is the name of a container's Compose service; empty if it has none.
func ServiceOf(response container.InspectResponse) string {
	if response.Config == nil {
		return ""
	}
	return response.Config.Labels[LabelService]
}
