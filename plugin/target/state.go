package target

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// What the state of a container says about why its server does not answer.

// downFault says why a container cannot answer in the state that it is in; nil if it
// runs.
func (r *run) downFault(ctx context.Context, response container.InspectResponse) *report.Fault {
	state, name := response.State, facts.ContainerName(response)
	switch {
	case state == nil:
		return nil
	case state.Restarting: // Running is true too
		return r.restartFault(ctx, response, engine.Exit{Code: int64(state.ExitCode), OOMKilled: state.OOMKilled})
	case state.Paused:
		return &report.Fault{
			Cause:    diagnosis.ServerNotReady,
			Title:    "The container is paused",
			Evidence: []string{fmt.Sprintf("container %s is paused, so nothing in it runs", name)},
			Hint:     "unpause it",
			Commands: []string{shell.Line("docker unpause %s", name)},
		}
	case state.Running:
		return nil
	case state.Status == container.StateCreated, state.Error != "":
		fault := r.notStartedFault(ctx, response)
		if r.isPodman(ctx) { // it names no network of a container that it has not started
			return fault
		}
		return r.connectBeforeStart(ctx, fault, response)
	default:
		return r.exitFault(ctx, response)
	}
}

// exitFault says how a container ended that is not to be restarted.
func (r *run) exitFault(ctx context.Context, response container.InspectResponse) *report.Fault {
	state, name := response.State, facts.ContainerName(response)
	ended := engine.Exit{Code: int64(state.ExitCode), OOMKilled: state.OOMKilled}
	ended.Lines = engine.LastLog(ctx, r.reader, response.ID, engine.HasTerminal(response))
	fault := ended.Fault(name)
	r.engine.CorrectPlatform(ctx, fault, response.Image)
	if response.RestartCount > 0 {
		fault.Evidence = slices.Insert(fault.Evidence, 1, restarts(response))
	}
	switch {
	case state.Dead || state.Status == container.StateDead:
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("the engine has not been able to remove all of container %s", name))
		fault.Hint, fault.Commands = "remove what is left of it, and create it anew", recreateCommands(response, "docker rm -f", "")
	case state.Status == container.StateRemoving:
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("the engine is removing container %s", name))
		fault.Hint, fault.Commands = "create it anew", recreateCommands(response, "", "")
	case fault.Cause == diagnosis.ServerExited:
		fault.Commands = []string{logsCommand(name)}
		r.addStart(ctx, response, fault)
	}
	return fault
}

// stopped are the codes of processes that were ended by SIGTERM and SIGKILL, as docker stop
// does.
var stopped = []int{128 + 15, 128 + 9}

// addStart adds how to start a container again that has exited.
func (r *run) addStart(ctx context.Context, response container.InspectResponse, fault *report.Fault) {
	switch {
	case response.State.OOMKilled:
		r.addMemory(ctx, response, fault)
	case slices.Contains(stopped, response.State.ExitCode):
		fault.Hint = "it was stopped or killed: start it again"
	}
	if missing := r.missingNetwork(ctx, response); missing != "" {
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("the network %s on which it was created is gone, so it cannot be started as it is", missing))
		fault.Commands = append(fault.Commands, r.reconnectCommands(ctx, response, missing)...)
	}
	fault.Commands = append(fault.Commands, startCommand(facts.ContainerName(response)))
}

// unknownExit is the code of an exit that the engine does not report: it forgets the code
// when it starts the container again.
const unknownExit = -1

// restartFault is about a container that ends and is started again by its restart policy.
func (r *run) restartFault(ctx context.Context, response container.InspectResponse, ended engine.Exit) *report.Fault {
	name := facts.ContainerName(response)
	ended.Lines = lastOfEach(engine.LastLog(ctx, r.reader, response.ID, engine.HasTerminal(response)))
	fault := ended.Fault(name)
	r.engine.CorrectPlatform(ctx, fault, response.Image)
	if ended.Code == unknownExit {
		fault.Evidence[0] = fmt.Sprintf("container %s exits again and again", name)
		fault.Hint = "see its last log lines above, and run the image by hand with the same options"
	}
	fault.Evidence = slices.Insert(fault.Evidence, 1, restarts(response))
	if response.State.Error != "" {
		fault.Evidence = slices.Insert(fault.Evidence, 2, "the engine reports: "+response.State.Error)
	}
	if fault.Cause == diagnosis.ServerExited {
		fault.Commands = []string{logsCommand(name)}
	}
	if ended.OOMKilled && fault.Cause == diagnosis.ServerExited {
		r.addMemory(ctx, response, fault)
	}
	return fault
}

// lastOfEach keeps the last of the lines that are equal: each start prints the same.
func lastOfEach(lines []string) []string {
	var kept []string
	for i, line := range lines {
		if !slices.Contains(lines[i+1:], line) {
			kept = append(kept, line)
		}
	}
	return kept
}

// restarts says how often a container was restarted, and by which policy.
func restarts(response container.InspectResponse) string {
	text := "the engine has restarted it " + engine.Plural(response.RestartCount, "time")
	if response.HostConfig != nil && response.HostConfig.RestartPolicy.Name != "" {
		text += fmt.Sprintf(" (restart policy %s)", response.HostConfig.RestartPolicy.Name)
	}
	if started, ok := startedAt(response); ok {
		text += ", last at " + started.UTC().Format(time.RFC3339)
	}
	return text
}

// startedAt returns when a container was started last; false if it never was.
func startedAt(response container.InspectResponse) (time.Time, bool) {
	if response.ContainerJSONBase == nil || response.State == nil {
		return time.Time{}, false
	}
	started, err := time.Parse(time.RFC3339Nano, response.State.StartedAt)
	return started, err == nil && started.Year() > 1 // engines write the year 1 for never
}

// longestLoop is how long ago the last restart of a container may be for it to count as one
// that restarts again and again. Engines wait at most a minute before the next start (moby,
// restartmanager).
const longestLoop = time.Minute

// exitWait is how long to wait for a container that was restarted a short time ago to exit
// again, which shows its exit code.
const exitWait = time.Second

// recheck inspects the container again after the probes. Between two starts a container
// that restarts again and again looks like one that runs, and it may have ended while it
// was probed. It returns the error of the probes if the state does not explain it.
func (r *run) recheck(ctx context.Context, probing error) error {
	if ctx.Err() != nil {
		return probing
	}
	before := *r.known.Container
	now, err := facts.InspectContainer(ctx, r.reader, before.ID)
	switch {
	case errdefs.IsNotFound(err):
		r.known.Server.Down = removedFault(r.known.Server.Name)
		return nil
	case err != nil || now.State == nil:
		return cmp.Or(probing, err)
	}
	r.setState(now)
	r.known.Server.Down = r.faultSince(ctx, before, now)
	if r.known.Server.Down == nil {
		return probing
	}
	return nil
}

// setState records the state of the container, and leaves the network that it uses.
func (r *run) setState(now container.InspectResponse) {
	known := *r.known.Container
	base := *known.ContainerJSONBase
	base.State, base.RestartCount = now.State, now.RestartCount
	known.ContainerJSONBase = &base
	r.known.Container = &known
}

func removedFault(name string) *report.Fault {
	return &report.Fault{
		Cause:    diagnosis.ServerExited,
		Evidence: []string{fmt.Sprintf("container %s was removed while it was probed", name)},
		Hint:     "it may have ended and been started with --rm: start it again without, and read its log",
		Commands: []string{shell.Line("docker run --name %s ...", name)},
	}
}

// faultSince says what has happened to a container since it was inspected before; nil if
// it still runs.
func (r *run) faultSince(ctx context.Context, before, now container.InspectResponse) *report.Fault {
	if fault := r.downFault(ctx, now); fault != nil && !now.State.Restarting {
		return diagnosis.WhileProbed(fault, "The server exited while it was probed", "it was running when the probes began")
	} else if fault != nil {
		return fault
	}
	if now.RestartCount == before.RestartCount && (!isRestartedLately(now) || r.anyReached() || r.listens()) {
		return nil
	}
	return r.nextExitFault(ctx, now)
}

// watchExit watches for the exit of a container that has been restarted by its policy:
// after the next start the engine no longer knows the exit code. The caller calls stop.
func (r *run) watchExit(ctx context.Context, response container.InspectResponse) (stop func()) {
	if response.RestartCount == 0 {
		return func() {}
	}
	ctx, stop = context.WithCancel(ctx)
	r.exits = engine.WatchExit(ctx, r.reader, response.ID)
	return stop
}

// isRestartedLately says whether an engine's restart policy has started a container a short
// time ago.
func isRestartedLately(response container.InspectResponse) bool {
	started, ok := startedAt(response)
	return ok && response.RestartCount > 0 && time.Since(started) < longestLoop
}

// nextExitFault is about a container that has been restarted a short time ago, and in which
// nothing listens. It waits some time for the next exit, which has a code.
func (r *run) nextExitFault(ctx context.Context, response container.InspectResponse) *report.Fault {
	if r.exits == nil { // the first restart was during the probes
		defer r.watchExit(ctx, response)()
	}
	ended := engine.Exit{Code: unknownExit}
	wait := time.NewTimer(exitWait)
	defer wait.Stop()
	select {
	case exit := <-r.exits:
		if exit.Err == nil {
			ended = exit
		}
	case <-wait.C:
	case <-ctx.Done():
	}
	if now, err := facts.InspectContainer(ctx, r.reader, response.ID); err == nil && now.State != nil {
		if fault := r.downFault(ctx, now); fault != nil {
			r.setState(now)
			return fault
		}
		response = now
	}
	return r.restartFault(ctx, response, ended)
}

func (r *run) anyReached() bool {
	return slices.ContainsFunc(r.places, func(p *place) bool {
		return slices.ContainsFunc(p.probes, func(probe report.Probe) bool { return probe.OK })
	})
}

// listens says whether something is known to listen on the server's port.
func (r *run) listens() bool {
	s := r.known.Server
	return s.Listeners != nil && len(s.Listeners.On(s.Port)) > 0
}

// addState adds to the findings what the engine reports of the state of a container that
// runs: to errors about the server as evidence. A server that is reached although it has
// just been restarted several times is a warning.
func (r *run) addState() {
	response := *r.known.Container
	lines := stateEvidence(response)
	for i := range r.report.Findings {
		f := &r.report.Findings[i]
		if f.Severity == report.SeverityError && isAboutServer(f.Cause) && r.known.Server.Down == nil {
			f.Evidence = append(f.Evidence, lines...)
		}
	}
	if r.known.Server.Down == nil && r.anyReached() && response.State != nil && response.RestartCount > 1 && isRestartedLately(response) {
		r.report.Findings = diagnosis.Merge(r.report.Findings, []report.Finding{r.unstable(response)})
	}
}

// unstable is the finding about a server that is reached, but not for long.
func (r *run) unstable(response container.InspectResponse) report.Finding {
	name := r.known.Server.Name
	finding := diagnosis.Finding(&report.Fault{
		Cause:    diagnosis.ServerExited,
		Evidence: []string{fmt.Sprintf("container %s runs now; %s", name, restarts(response))},
		Hint:     "the server answers between two exits: find in its log why it exits",
		Commands: []string{logsCommand(name)},
	})
	finding.Severity = report.SeverityWarning
	return finding
}

// isAboutServer says whether a cause, or the lack of one, is about what the server does.
func isAboutServer(cause report.Cause) bool {
	return cause == "" || cause == diagnosis.ForwarderAcceptsAlone || strings.HasPrefix(string(cause), "server-")
}

// stateEvidence is what the engine reports of a container that runs, as far as it may be
// why the server does not answer.
func stateEvidence(response container.InspectResponse) []string {
	state := response.State
	if state == nil {
		return nil
	}
	var lines []string
	if text := engine.HealthLog(state); text != "" {
		lines = append(lines, text)
	}
	if state.OOMKilled {
		lines = append(lines, "the kernel has killed a process of the container for using too much memory")
	}
	if response.RestartCount > 0 {
		lines = append(lines, restarts(response))
	}
	return lines
}
