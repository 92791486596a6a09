package endpoint

import (
	"cmp"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/context/docker"
	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/hosttext"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// contextFault explains why a context does not resolve to an endpoint.
func contextFault(cli command.Cli, name string, flags Flags, err error) *report.Fault {
	c := choice{cli: cli, name: name, flags: flags}
	fault := c.fault(err)
	fault.Evidence = append([]string{
		fmt.Sprintf("context: %q, %s", name, cmp.Or(c.source(), "by default")),
		"phase reached: " + string(connection.PhaseSettings),
	}, fault.Evidence...)
	return fault
}

// choice is a context and what chose it.
type choice struct {
	cli   command.Cli
	name  string
	flags Flags
}

func (c choice) fault(err error) *report.Fault {
	switch {
	case c.name == command.DefaultContextName:
		return c.defaultFault(err)
	case cerrdefs.IsNotFound(err) && !c.exists():
		return c.missing(err)
	default:
		return c.damaged(err)
	}
}

// given says whether the user gave one of docker's own flags.
func (c choice) given(flag string) bool {
	if c.flags == nil {
		return false
	}
	_, given := c.flags(flag)
	return given
}

// source says which setting chose the context, in docker's order of precedence
// (docker/cli, CurrentContext). It is empty for a default context that no setting chose.
func (c choice) source() string {
	file := c.cli.ConfigFile()
	switch {
	case c.name != c.cli.CurrentContext():
		return "in the context store"
	case c.given("host"):
		return "since -H is given"
	case c.given("context"):
		return "from --context"
	case os.Getenv(client.EnvOverrideHost) != "" && c.name == command.DefaultContextName:
		return "since " + client.EnvOverrideHost + " is set"
	case c.name == os.Getenv(command.EnvOverrideContext):
		return "from " + command.EnvOverrideContext
	case c.name == file.CurrentContext:
		return "from currentContext in " + file.Filename
	case c.name == command.DefaultContextName:
		return ""
	default:
		return "from --context"
	}
}

// exists says whether there is something of the context in the store.
func (c choice) exists() bool {
	stored := c.cli.ContextStore().GetStorageInfo(c.name)
	for _, path := range []string{stored.MetadataPath, stored.TLSPath} {
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	return false
}

// missing is for a context that is not in the store.
func (c choice) missing(err error) *report.Fault {
	known := c.others()
	fault := &report.Fault{
		Cause:    connection.ContextBroken,
		Evidence: []string{"contexts that exist: " + strings.Join(known, ", "), "no folder: " + c.cli.ContextStore().GetStorageInfo(c.name).MetadataPath},
		Err:      sentence.Of(err, "there is no context %q", c.name),
	}
	if copied := c.misplaced(); copied != "" {
		fault.Evidence = append(fault.Evidence, copied+" has this name, but its folder is that of another name, so docker lists it and does not find it")
	}
	c.chooseAnother(fault, nearest(c.name, known))
	if folder := c.elsewhere(); folder != "" {
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("%s has this context, but docker's configuration is %s", folder, config.Dir()))
		fault.Hint = "use the configuration that has it"
		fault.Commands = []string{shell.Export(shell.Assignment{Name: config.EnvOverrideConfigDir, Value: folder})}
	}
	return fault
}

// elsewhere is another folder of docker's configuration that has the context: that of the
// user's home, if a variable or an option names another one, or of the user who has called
// sudo. It is empty for none.
func (c choice) elsewhere() string {
	home, _ := os.UserHomeDir() // without one there is one folder less
	homes := []string{home}
	if caller, err := user.Lookup(os.Getenv("SUDO_USER")); err == nil {
		homes = append(homes, caller.HomeDir)
	}
	inStore, err := filepath.Rel(config.Dir(), filepath.Join(c.cli.ContextStore().GetStorageInfo(c.name).MetadataPath, metadataFile))
	if err != nil {
		return ""
	}
	for _, home := range homes {
		folder := filepath.Join(home, ".docker")
		if home != "" && folder != config.Dir() && isFile(filepath.Join(folder, inStore)) {
			return folder
		}
	}
	return ""
}

// chooseAnother suggests another context, in the place from which this one is. As long as
// DOCKER_CONTEXT or --context chooses one, `docker context use` has no effect.
func (c choice) chooseAnother(fault *report.Fault, better string) {
	switch source := c.source(); {
	case strings.Contains(source, "--context"):
		fault.Hint = "leave out --context, or give it one that exists"
		fault.Commands = []string{shell.Line("docker --context %s version", cmp.Or(better, command.DefaultContextName))}
	case strings.Contains(source, command.EnvOverrideContext):
		fault.Hint = "unset " + command.EnvOverrideContext + ", or set it to one that exists"
		fault.Commands = []string{shell.Unset(command.EnvOverrideContext)}
		if better != "" {
			fault.Commands = []string{shell.Export(shell.Assignment{Name: command.EnvOverrideContext, Value: better})}
		} else if next := c.cli.ConfigFile().CurrentContext; next != "" && !slices.Contains(c.others(), next) {
			fault.Evidence = append(fault.Evidence, fmt.Sprintf("currentContext in %s, which comes next, is %q, which does not exist either", c.cli.ConfigFile().Filename, next))
			fault.Commands = append(fault.Commands, shell.Line("docker context use %s", command.DefaultContextName))
		}
	case strings.Contains(source, "currentContext"):
		fault.Hint = "choose one that exists"
		fault.Commands = []string{shell.Line("docker context use %s", cmp.Or(better, command.DefaultContextName))}
	}
}

// others are the names of the contexts that docker can find.
func (c choice) others() []string {
	var names []string
	for _, other := range Contexts(c.cli) {
		_, err := c.cli.ContextStore().GetMetadata(other.Name)
		if other.Fault == nil && other.Name != c.name && (err == nil || other.Name == command.DefaultContextName) {
			names = append(names, other.Name)
		}
	}
	return names
}

// misplaced is the file of a context of this name in the folder of another name, as a
// copy by hand may leave it; empty for none.
func (c choice) misplaced() string {
	files, _ := filepath.Glob(filepath.Join(metadataFolder(), "*", metadataFile)) // the pattern is valid
	for _, file := range files {
		if contextAt(c.cli, file).Name == c.name {
			return file
		}
	}
	return ""
}

// nearest is the one name that differs from a name only in case and punctuation, or that
// begins with it or the other way round; empty if there is none or several.
func nearest(name string, known []string) string {
	plain := func(name string) string {
		return strings.ToLower(strings.NewReplacer("-", "", "_", "", ".", "", " ", "").Replace(name))
	}
	var found []string
	for _, other := range known {
		a, b := plain(name), plain(other)
		if other != command.DefaultContextName && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a)) {
			found = append(found, other)
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

// defaultFault explains why flags and environment give no endpoint.
func (c choice) defaultFault(err error) *report.Fault {
	if fault := connection.FilesFault(err); fault != nil {
		return fault
	}
	r := reviewer{
		origin:   originOf(c.cli, c.name, docker.EndpointMeta{}, c.flags),
		settings: connection.Settings{TLS: c.given("tls") || c.given(verifyFlag) || os.Getenv(client.EnvTLSVerify)+os.Getenv(tlsVariable) != ""},
	}
	return r.refused(&report.Fault{
		Cause:    connection.EndpointMalformed,
		Evidence: []string{"docker says: " + hosttext.Redacted(err.Error())},
		Hint:     "write it as unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST",
		Err:      sentence.Of(err, "%s cannot be used", r.String()),
	})
}

func headersFault(err error) *report.Fault {
	return &report.Fault{
		Cause:    connection.EngineUnreachable,
		Evidence: []string{"phase reached: " + string(connection.PhaseSettings)},
		Hint:     "write it as key=value,key=value or unset it",
		Err:      sentence.Of(err, "%s cannot be used, %s", headersVariable, err),
	}
}
