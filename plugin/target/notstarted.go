package target

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

// notStartedFault is about a container that the engine has not started. The engine keeps
// the error of the last start that failed.
func (r *run) notStartedFault(ctx context.Context, response container.InspectResponse) *report.Fault {
	name, message := facts.ContainerName(response), response.State.Error
	holders := r.portHolders(ctx, response)
	if message == "" {
		fault := &report.Fault{
			Cause:    diagnosis.ContainerNotStarted,
			Evidence: []string{fmt.Sprintf("container %s was created and never started", name)},
			Hint:     "start it; if that fails, docker start prints why",
			Commands: []string{startCommand(name)},
		}
		if len(holders) > 0 { // Podman does not keep the error
			return portFault(fault, holders)
		}
		return fault
	}
	fault := &report.Fault{
		Cause:    diagnosis.ContainerNotStarted,
		Evidence: []string{fmt.Sprintf("the engine could not start container %s: %s", name, message)},
		Commands: []string{startCommand(name)},
	}
	known := new(report.Fault)
	errors.As(engine.StartFault(name, errors.New(message)), &known)
	r.engine.CorrectPlatform(ctx, known, response.Image)
	switch known.Cause {
	case diagnosis.PortInUse:
		if len(holders) == 0 {
			holders = []string{"no other container publishes its ports, so a program on the engine's host uses one of them"}
		}
		return portFault(fault, holders)
	case "":
		fault.Hint, fault.Commands = r.startHint(ctx, response)
	case diagnosis.EngineFirewallBroken, diagnosis.AddressPoolsExhausted: // the container can stay as it is
		fault.Cause, fault.Hint = known.Cause, known.Hint+"; then start it"
	default:
		fault.Cause, fault.Title, fault.Hint, fault.Commands = known.Cause, known.Title, known.Hint, recreateCommands(response, "docker rm", "")
	}
	return fault
}

// connectBeforeStart has a container that is on no network any more connected to its own
// before it is started. Docker Engine 29 disconnects a container whose start has failed, and
// would then start it without a network.
func (r *run) connectBeforeStart(ctx context.Context, fault *report.Fault, response container.InspectResponse) *report.Fault {
	name, lost := facts.ContainerName(response), facts.LostNetwork(response)
	i := slices.Index(fault.Commands, startCommand(name))
	if i < 0 || lost == "" {
		return fault
	}
	fault.Evidence = append(fault.Evidence, fmt.Sprintf("it is on no network any more; it was created on %s", lost))
	connect := []string{shell.Line("docker network connect %s %s", lost, name)}
	if !r.networkExists(ctx, lost) {
		connect = slices.Insert(connect, 0, shell.Line("docker network create %s", lost))
	}
	fault.Commands = slices.Insert(fault.Commands, i, connect...)
	return fault
}

func startCommand(name string) string { return shell.Line("docker start %s", name) }

func restartCommand(name string) string { return shell.Line("docker restart %s", name) }

func logsCommand(name string) string { return shell.Line("docker logs %s", name) }

// recreateCommands create a container anew, after a command that removes it, if any. Those
// of Compose are created by Compose.
func recreateCommands(response container.InspectResponse, remove, options shell.Text) []string {
	name := facts.ContainerName(response)
	if service := meaning.ServiceOf(response); service != "" && response.Config.Labels[labelConfigFiles] != "" {
		return []string{shell.Line("docker compose up -d --force-recreate %s", service)}
	}
	if options == "" {
		options = "..."
	} else {
		options += " ..."
	}
	commands := []string{shell.Line("docker run --name %s %s", name, options)}
	if remove != "" {
		commands = slices.Insert(commands, 0, shell.Line("%s %s", remove, name))
	}
	return commands
}

// portFault turns a fault into one about a host port that is taken.
func portFault(fault *report.Fault, holders []string) *report.Fault {
	fault.Cause = diagnosis.PortInUse
	fault.Evidence = append(fault.Evidence, holders...)
	fault.Hint = "end what uses the host port, and start the container; or create it anew with another host port"
	return fault
}

// portHolders names the running containers that publish a host port that a container
// wants, on the same address.
func (r *run) portHolders(ctx context.Context, response container.InspectResponse) []string {
	var lines []string
	for _, wanted := range wantedBindings(response) {
		publishers, _ := r.meant.PublishersOf(ctx, wanted.HostPort) // it is only a detail
		for _, p := range publishers {
			if p.ID != response.ID && slices.ContainsFunc(p.Bindings, func(b facts.Binding) bool { return b.Covers(wanted.HostIP) || wanted.Covers(b.HostIP) }) {
				lines = append(lines, fmt.Sprintf("container %s publishes port %d of the host", p.Name, wanted.HostPort))
			}
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// wantedBindings are those of a container's TCP ports to ports of the host that the user
// has chosen.
func wantedBindings(response container.InspectResponse) []facts.Binding {
	if response.HostConfig == nil {
		return nil
	}
	var wanted []facts.Binding
	for port, bindings := range response.HostConfig.PortBindings {
		if len(meaning.AppendTCP(nil, string(port))) == 0 {
			continue
		}
		for _, b := range bindings {
			var p meaning.Publisher
			if hostPort := meaning.AppendTCP(nil, b.HostPort); len(hostPort) > 0 && hostPort[0] != 0 {
				p.Add(b.HostIP, hostPort[0], 0)
			}
			wanted = append(wanted, p.Bindings...)
		}
	}
	return wanted
}

// startErrors are what to do about the error of a start, by a part of it. The first that
// matches counts.
var startErrors = []struct {
	message *regexp.Regexp
	hint    string
	again   bool // the same container can be started then
}{
	// moby, daemon/container_operations.go: the container keeps the id of the other one.
	{regexp.MustCompile(`cannot join network of a non running container|Cannot link to a non running container`), "start the container that it names first", true},
	{regexp.MustCompile(`(?i)no such container`), "the container whose network it shares is gone: create both anew, that one first", false},
	// A path that is bound must exist, and be a directory where the container has one.
	{regexp.MustCompile(`bind source path does not exist|error while creating mount source path|statfs `), "create the path on the engine's host, and start the container", true},
	{regexp.MustCompile(`(?i)not a directory|is a directory|error mounting`), "correct the mount: the paths on the host and in the container must be both files or both directories", false},
	{regexp.MustCompile(`error gathering device information|could not select device driver`), "the device is not there: add it to the engine's host, and start the container", true},
	// runc and crun, about the program to execute.
	{regexp.MustCompile(`executable file .*not found|exec.*no such file or directory|no such file or directory: unknown`), "the command does not exist in the image: correct the entrypoint or the command, and create the container anew", false},
	{regexp.MustCompile(`(?i)permission denied`), "the command cannot be executed: make the file executable in the image, and create the container anew", false},
}

// startHint is what to do about a container whose start has failed, and the commands.
func (r *run) startHint(ctx context.Context, response container.InspectResponse) (hint string, commands []string) {
	start := startCommand(facts.ContainerName(response))
	if missing := r.missingNetwork(ctx, response); missing != "" {
		commands = append(r.reconnectCommands(ctx, response, missing), start)
		return fmt.Sprintf("the network %s on which it was created is gone: connect it to the one that has the name now", missing), commands
	}
	for _, known := range startErrors {
		switch {
		case !known.message.MatchString(response.State.Error):
		case known.again:
			return known.hint, []string{start}
		default:
			return known.hint, recreateCommands(response, "docker rm", "")
		}
	}
	return "fix what the engine reports, and start the container", []string{start}
}

// reconnectCommands connect a container to the network that has the name of one that is
// gone, and create it if there is none.
func (r *run) reconnectCommands(ctx context.Context, response container.InspectResponse, missing string) []string {
	name := facts.ContainerName(response)
	commands := []string{
		shell.Line("docker network disconnect -f %s %s", missing, name),
		shell.Line("docker network connect %s %s", missing, name),
	}
	if !r.networkExists(ctx, missing) {
		commands = slices.Insert(commands, 0, shell.Line("docker network create %s", missing))
	}
	return commands
}

// missingNetwork returns the name of a network that a container is to join and that is
// gone; empty if there is none. A network that was created anew with the same name is
// another one.
func (r *run) missingNetwork(ctx context.Context, response container.InspectResponse) string {
	if response.NetworkSettings == nil {
		return ""
	}
	for name, endpoint := range response.NetworkSettings.Networks {
		if endpoint == nil || endpoint.NetworkID == "" {
			continue
		}
		if !r.networkExists(ctx, endpoint.NetworkID) {
			return name
		}
	}
	return ""
}

// networkExists says whether the engine has a network. One that it cannot inspect counts
// as there.
func (r *run) networkExists(ctx context.Context, name string) bool {
	_, err := r.reader.NetworkInspect(ctx, name, network.InspectOptions{})
	return !errdefs.IsNotFound(err)
}
