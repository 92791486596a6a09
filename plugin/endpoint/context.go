package endpoint

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/context/store"
	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// contextFault explains why a context does not resolve to an endpoint.
func contextFault(cli command.Cli, name string, err error) *report.Fault {
	fault := brokenContext(name, err)
	switch {
	case name == command.DefaultContextName:
		fault = defaultFault(err)
	case cerrdefs.IsNotFound(err):
		fault = contextNotFound(cli, name, err)
	}
	fault.Evidence = append([]string{
		fmt.Sprintf("context: %q, %s", name, cmp.Or(contextSource(cli, name), "from -H or by default")),
		"phase reached: " + string(connection.PhaseSettings),
	}, fault.Evidence...)
	return fault
}

// contextSource says which setting chose the context, in docker's order of
// precedence (docker/cli, CurrentContext). It is empty for a default context that no
// setting chose, except perhaps -H.
func contextSource(cli command.Cli, name string) string {
	file := cli.ConfigFile()
	switch {
	case name == command.DefaultContextName && os.Getenv(client.EnvOverrideHost) != "":
		return "since " + client.EnvOverrideHost + " is set"
	case name == os.Getenv(command.EnvOverrideContext):
		return "from " + command.EnvOverrideContext
	case name == file.CurrentContext:
		return "from currentContext in " + file.Filename
	case name == command.DefaultContextName:
		return ""
	default:
		return "from --context"
	}
}

func contextNotFound(cli command.Cli, name string, err error) *report.Fault {
	fault := &report.Fault{
		Cause:    connection.EngineUnreachable,
		Hint:     "choose one that exists",
		Commands: append([]string{"docker context ls"}, chooseDefault(contextSource(cli, name))...),
		Err:      sentence.Of(err, "there is no context %q", name),
	}
	// A broken context among the others must not hide that this one is missing.
	if known, listErr := store.Names(cli.ContextStore()); listErr == nil {
		fault.Evidence = append(fault.Evidence, "contexts that exist: "+strings.Join(known, ", "))
	}
	return fault
}

// chooseDefault is the command that takes back the choice of a context. As long as
// DOCKER_CONTEXT or --context chooses one, `docker context use` has no effect.
func chooseDefault(source string) []string {
	switch {
	case strings.Contains(source, command.EnvOverrideContext):
		return []string{"unset " + command.EnvOverrideContext}
	case strings.Contains(source, "currentContext"):
		return []string{"docker context use default"}
	default:
		return nil
	}
}

func brokenContext(name string, err error) *report.Fault {
	return &report.Fault{
		Cause:    connection.EngineUnreachable,
		Evidence: []string{"reading it: " + err.Error()},
		Hint:     "create it again: docker context rm also deletes the TLS files that are stored with it",
		Commands: []string{"docker context rm " + strconv.Quote(name), "docker context ls"},
		Err:      sentence.Of(err, "the context %q cannot be used", name),
	}
}

// defaultFault explains why flags and environment give no endpoint.
func defaultFault(err error) *report.Fault {
	if fault := connection.FilesFault(err); fault != nil {
		return fault
	}
	return &report.Fault{
		Cause:    connection.EngineUnreachable,
		Evidence: []string{"docker says: " + err.Error()},
		Hint:     "give it as unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST",
		Err:      sentence.Of(err, "the Docker host in -H or %s cannot be used", client.EnvOverrideHost),
	}
}

func headersFault(err error) *report.Fault {
	return &report.Fault{
		Cause:    connection.EngineUnreachable,
		Evidence: []string{"phase reached: " + string(connection.PhaseSettings)},
		Hint:     "write it as key=value,key=value or unset it",
		Err:      sentence.Of(err, "%s cannot be used, %s", headersVariable, err),
	}
}
