package target

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

// The labels by which Compose says whose container it is (compose-spec, and
// docker/compose, pkg/api/labels.go).
const (
	LabelService = "com.docker.compose.service"
	LabelProject = "com.docker.compose.project"
	labelOneOff  = "com.docker.compose.oneoff" // of docker compose run
)

// maxName bounds a name that nobody has, in a message: it is longer than a name
// that anybody gives.
const maxName = 255

// maxCandidates bounds how many containers are inspected for an alias: an inspect
// takes 1 ms.
const maxCandidates = 200

// find inspects the container that a user means: by its own name or id, as a
// service of Compose's, or as other containers call it.
func (e *targetDiagnosis) find(ctx context.Context, name string) (container.InspectResponse, error) {
	response, err := facts.InspectContainer(ctx, e.engine.API, name)
	if !errdefs.IsNotFound(err) {
		return response, err
	}
	shown := netprobe.Visible(name, maxName)
	found, err := e.ofService(ctx, name)
	if err == nil && len(found) == 0 {
		found, err = e.calledSo(ctx, name)
	}
	switch {
	case err != nil:
		return response, fmt.Errorf("looking for the service %s: %w", shown, err)
	case len(found) == 0:
		return response, fmt.Errorf("there is no container or service %s: docker ps -a lists the containers", shown)
	case len(found) > 1:
		names := make([]string, len(found))
		for i, c := range found {
			names[i] = nameOfSummary(c)
		}
		slices.Sort(names)
		return response, fmt.Errorf("several containers are called %s: choose one of %s", shown, strings.Join(names, ", "))
	default:
		return facts.InspectContainer(ctx, e.engine.API, found[0].ID)
	}
}

// ofService lists the containers of a service: those that run, or, where none
// does, those that did. Those of single commands are not the service.
func (e *targetDiagnosis) ofService(ctx context.Context, name string) ([]container.Summary, error) {
	all, err := engine.ListContainers(ctx, e.engine.API, filters.NewArgs(filters.Arg("label", LabelService+"="+name)))
	all = slices.DeleteFunc(all, func(c container.Summary) bool { return c.Labels[labelOneOff] == "True" })
	if running := slices.DeleteFunc(slices.Clone(all), notRunning); len(running) > 0 {
		return running, err
	}
	return all, err
}

func notRunning(c container.Summary) bool { return c.State != container.StateRunning }

// calledSo lists the containers that run and have a name as an alias on one of
// their networks, which a list of containers does not tell.
func (e *targetDiagnosis) calledSo(ctx context.Context, name string) ([]container.Summary, error) {
	all, err := engine.ListContainers(ctx, e.engine.API, filters.NewArgs())
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, notRunning)
	var found []container.Summary
	for _, c := range all[:min(len(all), maxCandidates)] {
		response, err := facts.InspectContainer(ctx, e.engine.API, c.ID)
		switch {
		case ctx.Err() != nil || client.IsErrConnectionFailed(err):
			return nil, err
		case err != nil: // it has gone meanwhile, which Podman 4.3 says with the status 500
		case slices.Contains(facts.ReadContainer(response, 0).Aliases, name):
			found = append(found, c)
		}
	}
	return found, nil
}

// replicas are the names of the other containers of a container's service that run.
// The service's name leads to any of them.
func (e *targetDiagnosis) replicas(ctx context.Context, response container.InspectResponse) ([]string, error) {
	name := service(response)
	if name == "" {
		return nil, nil
	}
	all, err := e.ofService(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("looking for the service %s: %w", netprobe.Visible(name, maxName), err)
	}
	var others []string
	for _, c := range all {
		if c.ID != response.ID && !notRunning(c) && c.Labels[LabelProject] == response.Config.Labels[LabelProject] {
			others = append(others, nameOfSummary(c))
		}
	}
	slices.Sort(others)
	return others, nil
}

func nameOfSummary(c container.Summary) string {
	return strings.TrimPrefix(strings.Join(c.Names, ","), "/")
}

// service is the name of the service of Compose's that a container is of, or "".
func service(response container.InspectResponse) string {
	if response.Config == nil {
		return ""
	}
	return response.Config.Labels[LabelService]
}
