package plugin

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/command"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

// searchLimit bounds the search on one engine: a ping and two calls. A local engine takes
// 10 ms, and ssh a second to connect.
const searchLimit = 3 * time.Second

// otherEngine is an endpoint of the user's that the command did not use.
type otherEngine struct {
	name    string     // as a part of a sentence
	docker  shell.Text // the command that uses it
	resolve func() (connection.Settings, error)

	found string // how the container is there; empty if it is not
	err   error  // why that is not known
}

// searchContexts looks for a container that the engine does not have on the engines of the
// user's other contexts, all at once. It returns a Fault if one has it, and otherwise the
// error with what was looked at.
func searchContexts(ctx context.Context, dockerCLI command.Cli, missing *meaning.NotFoundError, words string) error {
	others := otherEngines(dockerCLI)
	var group sync.WaitGroup
	for _, other := range others {
		group.Go(func() { other.search(ctx, missing.Name) })
	}
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	fault := &report.Fault{
		Cause:    diagnosis.ContainerOnAnotherEngine,
		Evidence: []string{fmt.Sprintf("the engine of context %s does not have it", dockerCLI.CurrentContext())},
	}
	var has []string
	for _, other := range others {
		if other.found != "" {
			has = append(has, other.name)
			fault.Commands = append(fault.Commands, shell.Line("%s nestprobe diagnose %s", other.docker, words))
		}
		fault.Evidence = append(fault.Evidence, other.String())
	}
	if len(has) > 0 {
		fault.Err = fmt.Errorf("this engine has no container or service %s, but that of %s has", missing.Name, strings.Join(has, ", "))
		fault.Hint = "use that engine" + whatDecides(dockerCLI)
		return fault
	}
	if len(others) == 0 {
		return missing
	}
	looked := make([]string, len(others))
	for i, other := range others {
		looked[i] = other.String()
	}
	return fmt.Errorf("%w; looked elsewhere too: %s", missing, strings.Join(looked, "; "))
}

// String says what was found, in one sentence.
func (o *otherEngine) String() string {
	switch {
	case o.found != "":
		return fmt.Sprintf("that of %s has it, %s", o.name, o.found)
	case o.err != nil:
		return fmt.Sprintf("that of %s is not known: %s", o.name, visible(o.err))
	default:
		return fmt.Sprintf("that of %s does not have it", o.name)
	}
}

// otherEngines lists the user's contexts but the current one, and docker's default socket
// if DOCKER_HOST or -H selects another endpoint. Endpoints that are the same count once.
func otherEngines(dockerCLI command.Cli) []*otherEngine {
	current := dockerCLI.CurrentContext()
	seen := map[string]bool{}
	if used, err := endpoint.Resolve(dockerCLI, nil); err == nil {
		seen[used.Host] = true
	}
	var others []*otherEngine
	for _, c := range endpoint.Contexts(dockerCLI) {
		name := c.Name
		if name == current || c.Fault != nil {
			continue
		}
		resolved, err := endpoint.ResolveContext(dockerCLI, name, nil)
		if err == nil && seen[resolved.Host] {
			continue
		}
		if err == nil {
			seen[resolved.Host] = true
		}
		without := []string{client.EnvOverrideHost}
		if name == command.DefaultContextName {
			without = nil // the variable decides where this context leads
		}
		others = append(others, &otherEngine{
			name: "context " + name, docker: dockerWithContext(name, without...),
			resolve: func() (connection.Settings, error) {
				if err != nil {
					return connection.Settings{}, err
				}
				return resolved.Settings, nil
			},
		})
	}
	if current == command.DefaultContextName && !seen[client.DefaultDockerHost] {
		others = append(others, &otherEngine{
			name:   "docker's default socket",
			docker: dockerWithContext(command.DefaultContextName, client.EnvOverrideHost, client.EnvTLSVerify, client.EnvOverrideCertPath, "DOCKER_TLS"),
			resolve: func() (connection.Settings, error) {
				return connection.NewSettings(command.DefaultContextName, client.DefaultDockerHost), nil
			},
		})
	}
	return others
}

// dockerWithContext is docker with one of the user's contexts, without some variables, as
// far as they are set.
func dockerWithContext(name string, without ...string) shell.Text {
	isSet := slices.DeleteFunc(without, func(variable string) bool { return os.Getenv(variable) == "" })
	return shell.Text(shell.Line("%s --context %s", shell.Without("docker", isSet...), name))
}

// whatDecides says which setting chose the engine that does not have the container.
func whatDecides(dockerCLI command.Cli) string {
	switch {
	case os.Getenv(client.EnvOverrideHost) != "" && dockerCLI.CurrentContext() == command.DefaultContextName:
		return "; " + client.EnvOverrideHost + " selects another one"
	case os.Getenv(command.EnvOverrideContext) == dockerCLI.CurrentContext():
		return "; " + command.EnvOverrideContext + " selects another one"
	default:
		return ""
	}
}

// search looks for a container, or for one of a Compose service, on the engine.
func (o *otherEngine) search(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, searchLimit)
	defer cancel()
	o.found, o.err = o.searchWithin(ctx, name)
	if o.err != nil && ctx.Err() != nil {
		o.err = fmt.Errorf("no answer within %s", searchLimit)
	}
}

// shortID is as many digits of an ID as docker shows. Fewer may be a name.
const shortID = 12

// isCalled says whether a container has a name or an ID, of which engines accept any
// beginning.
func isCalled(response container.InspectResponse, name string) bool {
	if response.ContainerJSONBase == nil {
		return false
	}
	return facts.ContainerName(response) == strings.TrimPrefix(name, "/") || len(name) >= shortID && strings.HasPrefix(response.ID, name)
}

func (o *otherEngine) searchWithin(ctx context.Context, name string) (string, error) {
	settings, err := o.resolve()
	if err != nil {
		return "", err
	}
	opened, err := connection.Open(ctx, settings.WithAnswerTimeout(searchLimit))
	if err != nil {
		return "", err
	}
	defer opened.Close()
	response, err := opened.API.ContainerInspect(ctx, name)
	if err == nil && isCalled(response, name) && response.State != nil {
		return response.State.Status, nil
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return "", opened.Explain(ctx, err)
	}
	list, err := opened.API.ContainerList(ctx, container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("label", meaning.LabelService+"="+name)),
	})
	if err != nil || len(list) == 0 {
		return "", opened.Explain(ctx, err)
	}
	return "as a Compose service", nil
}
