package target

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/pkg/stdcopy"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// containersEngine has containers and networks, which it returns as JSON documents of the
// API. The states in which a container is found between two restarts last for
// milliseconds, so no real engine shows them on demand.
type containersEngine struct {
	engine.API

	containers map[string][]string // by name or id; an inspection after the last returns the last
	summaries  []container.Summary
	networks   []string
	exit       chan container.WaitResponse
}

func (e *containersEngine) ContainerInspect(_ context.Context, name string) (response container.InspectResponse, err error) {
	answers := e.containers[name]
	if len(answers) == 0 {
		return response, fmt.Errorf("no such container: %w", cerrdefs.ErrNotFound)
	}
	if len(answers) > 1 {
		e.containers[name] = answers[1:]
	}
	return parseInspection(answers[0])
}

func parseInspection(text string) (response container.InspectResponse, err error) {
	return response, json.Unmarshal([]byte(text), &response)
}

func (e *containersEngine) ContainerList(context.Context, container.ListOptions) ([]container.Summary, error) {
	return slices.Clone(e.summaries), nil
}

func (e *containersEngine) ContainerLogs(context.Context, string, container.LogsOptions) (io.ReadCloser, error) {
	var log bytes.Buffer
	_, err := fmt.Fprint(stdcopy.NewStdWriter(&log, stdcopy.Stderr), "starting\nno database\nstarting\nno database\n")
	return io.NopCloser(&log), err
}

func (e *containersEngine) ContainerWait(context.Context, string, container.WaitCondition) (<-chan container.WaitResponse, <-chan error) {
	return e.exit, nil
}

func (e *containersEngine) NetworkInspect(_ context.Context, name string, _ network.InspectOptions) (network.Inspect, error) {
	if !slices.Contains(e.networks, name) {
		return network.Inspect{}, fmt.Errorf("no such network: %w", cerrdefs.ErrNotFound)
	}
	return network.Inspect{Name: name}, nil
}

// newTestRun returns a run on an engine.
func newTestRun(e *containersEngine) *run {
	return newRun(engine.Engine{API: e}, Target{Timeout: time.Second}, nil)
}

// A fault's lines, as tests compare them.
func lines(fault *report.Fault) string {
	if fault == nil {
		return ""
	}
	all := append([]string{string(fault.Cause)}, fault.Evidence...)
	return strings.Join(append(append(all, "=> "+fault.Hint), fault.Commands...), "\n")
}

func TestDownFault(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		inspection string
		networks   []string
		want       report.Cause
		lines      []string // among those of the fault
	}{
		"unknown": {`{"State": null}`, nil, "", nil},
		"running": {`{"State": {"Status": "running", "Running": true}}`, nil, "", nil},
		"paused":  {`{"State": {"Status": "paused", "Running": true, "Paused": true}}`, nil, diagnosis.ServerNotReady, []string{"docker unpause web"}},
		"restarting": {
			`{"RestartCount": 4, "State": {"Status": "restarting", "Running": true, "Restarting": true, "ExitCode": 3}, "HostConfig": {"RestartPolicy": {"Name": "always"}}}`, nil,
			diagnosis.ServerExited, []string{"container web exited with code 3", "the engine has restarted it 4 times (restart policy always)", "log: no database", "docker logs web"},
		},
		"restarting, out of memory": {
			`{"RestartCount": 1, "State": {"Restarting": true, "ExitCode": 137, "OOMKilled": true}}`, nil,
			diagnosis.ServerExited, []string{"the kernel killed it for using too much memory", "the engine has restarted it 1 time"},
		},
		"created": {`{"State": {"Status": "created"}}`, nil, diagnosis.ContainerNotStarted, []string{"container web was created and never started", "docker start web"}},
		"no command": {
			`{"State": {"Status": "created", "ExitCode": 127, "Error": "runc create failed: exec: \"/x\": stat /x: no such file or directory: unknown"}}`, nil,
			diagnosis.ContainerNotStarted, []string{`the engine could not start container web: runc create failed: exec: "/x": stat /x: no such file or directory: unknown`, "docker rm web"},
		},
		"a command that cannot be executed": {
			`{"State": {"Status": "created", "Error": "runc create failed: exec: \"/x\": permission denied: unknown"}}`, nil,
			diagnosis.ContainerNotStarted, []string{"=> the command cannot be executed: make the file executable in the image, and create the container anew"},
		},
		"a mount": {
			`{"State": {"Status": "created", "Error": "invalid mount config for type \"bind\": bind source path does not exist: /data"}}`, nil,
			diagnosis.ContainerNotStarted, []string{"=> create the path on the engine's host, and start the container", "docker start web"},
		},
		"a directory over a file": {
			`{"State": {"Status": "created", "Error": "error mounting \"/a\" to rootfs at \"/b\": not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)?"}}`, nil,
			diagnosis.ContainerNotStarted, []string{"docker rm web"},
		},
		"another CPU": {`{"State": {"Status": "created", "Error": "exec /x: exec format error"}}`, nil, diagnosis.ImageWrongPlatform, nil},
		"a port": {
			`{"State": {"Status": "created", "Error": "Bind for 0.0.0.0:8080 failed: port is already allocated"}, "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}}`, nil,
			diagnosis.PortInUse, []string{"container other publishes port 8080 of the host", "docker start web"},
		},
		"a port, and no network any more": {
			`{"State": {"Status": "created", "Error": "Bind for 0.0.0.0:8080 failed: port is already allocated"}, "HostConfig": {"NetworkMode": "shop", "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}, "NetworkSettings": {}}`, []string{"shop"},
			diagnosis.PortInUse, []string{"it is on no network any more; it was created on shop", "docker network connect shop web\ndocker start web"},
		},
		"a port of Docker Desktop": {
			`{"State": {"Status": "created", "Error": "Ports are not available: exposing port TCP 0.0.0.0:8081"}, "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8081"}]}}}`, nil,
			diagnosis.PortInUse, []string{"no other container publishes its ports, so a program on the engine's host uses one of them"},
		},
		"a port, and the error is not kept": {
			`{"State": {"Status": "created"}, "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}}}`, nil,
			diagnosis.PortInUse, []string{"container web was created and never started", "container other publishes port 8080 of the host"},
		},
		"a port of UDP, and one that the engine chooses": {
			`{"State": {"Status": "created"}, "HostConfig": {"PortBindings": {"80/udp": [{"HostPort": "8080"}], "81/tcp": [{"HostPort": ""}]}}}`, nil,
			diagnosis.ContainerNotStarted, nil,
		},
		"of Compose": {
			`{"State": {"Status": "created", "Error": "exec: \"x\": executable file not found in $PATH"}, "Config": {"Labels": {"com.docker.compose.service": "app", "com.docker.compose.project.config_files": "/a.yaml"}}}`, nil,
			diagnosis.ContainerNotStarted, []string{"docker compose up -d --force-recreate app"},
		},
		"gave up": {
			`{"RestartCount": 2, "State": {"Status": "exited", "ExitCode": 1}, "HostConfig": {"RestartPolicy": {"Name": "on-failure"}}}`, nil,
			diagnosis.ServerExited, []string{"the engine has restarted it 2 times (restart policy on-failure)"},
		},
		"the restart failed": {
			`{"State": {"Status": "exited", "ExitCode": 128, "Error": "cannot join network of a non running container: 5e47"}}`, nil,
			diagnosis.ContainerNotStarted, []string{"=> start the container that it names first", "docker start web"},
		},
		"another error": {`{"State": {"Status": "created", "Error": "mishap"}}`, nil, diagnosis.ContainerNotStarted, []string{"=> fix what the engine reports, and start the container"}},
		"a network that is gone": {
			`{"State": {"Status": "exited", "Error": "network 1234 not found"}, "NetworkSettings": {"Networks": {"shop": {"NetworkID": "1234"}}}}`, nil,
			diagnosis.ContainerNotStarted, []string{"docker network create shop", "docker network disconnect -f shop web", "docker network connect shop web", "docker start web"},
		},
		"exited, on a network that was created anew": {
			`{"State": {"Status": "exited", "ExitCode": 1}, "NetworkSettings": {"Networks": {"shop": {"NetworkID": "1234"}}}}`, []string{"shop"},
			diagnosis.ServerExited, []string{"the network shop on which it was created is gone, so it cannot be started as it is", "docker logs web\ndocker network disconnect -f shop web"},
		},
		"stopped":     {`{"State": {"Status": "exited", "ExitCode": 137}}`, nil, diagnosis.ServerExited, []string{"=> it was stopped or killed: start it again", "docker start web"}},
		"out of room": {`{"State": {"Status": "exited", "ExitCode": 137, "OOMKilled": true}}`, nil, diagnosis.ServerExited, []string{"the kernel killed it for using too much memory", "it has no memory limit of its own, so the engine's host ran out of memory, or a limit of all containers was reached", "=> free memory on the engine's host, or reduce what the server needs, and start it again"}},
		"out of room, with a limit": {
			`{"State": {"Status": "exited", "ExitCode": 137, "OOMKilled": true}, "HostConfig": {"Memory": 67108864, "MemorySwap": 134217728}}`, nil,
			diagnosis.ServerExited, []string{"its memory limit is 64m", "docker logs web\ndocker update --memory 128m --memory-swap 192m web\ndocker start web"},
		},
		"restarting, with a limit": {
			`{"RestartCount": 1, "State": {"Restarting": true, "ExitCode": 137, "OOMKilled": true}, "HostConfig": {"Memory": 6000001, "MemorySwap": -1}}`, nil,
			diagnosis.ServerExited, []string{"the kernel killed it for using too much memory", "docker logs web\ndocker update --memory 12000002b --memory-swap -1 web"},
		},
		"dead":     {`{"State": {"Status": "dead", "Dead": true}}`, nil, diagnosis.ServerExited, []string{"docker rm -f web"}},
		"removing": {`{"State": {"Status": "removing"}}`, nil, diagnosis.ServerExited, []string{"the engine is removing container web"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, err := parseInspection(`{"Id": "1", "Name": "/web", ` + test.inspection[1:])
			assert.NilError(t, err)
			r := newTestRun(&containersEngine{networks: test.networks, summaries: []container.Summary{
				{ID: "2", Names: []string{"/other"}, State: "running", Ports: []container.Port{{IP: "0.0.0.0", PublicPort: 8080, PrivatePort: 80, Type: "tcp"}}},
			}})
			fault := r.downFault(t.Context(), response)
			assert.Equal(t, fault != nil, test.want != "")
			if fault == nil {
				return
			}
			assert.Equal(t, fault.Cause, test.want, lines(fault))
			for _, want := range test.lines {
				assert.Check(t, strings.Contains("\n"+lines(fault)+"\n", "\n"+want+"\n"), "%q in\n%s", want, lines(fault))
			}
		})
	}
}

// running is a running container, with how often it has been restarted.
func running(restarts int, ago time.Duration) string {
	return fmt.Sprintf(`{"Id": "1", "Name": "/web", "RestartCount": %d, "State": {"Status": "running", "Running": true, "StartedAt": %q}}`,
		restarts, time.Now().Add(-ago).Format(time.RFC3339Nano))
}

const restarting = `{"Id": "1", "Name": "/web", "RestartCount": 5, "State": {"Status": "restarting", "Running": true, "Restarting": true, "ExitCode": 3}}`

// The state of a container after the probes decides, whatever it was before.
func TestRecheck(t *testing.T) {
	t.Parallel()
	failed := fmt.Errorf("joining its network")
	for name, test := range map[string]struct {
		before  string
		after   []string
		reached bool
		exit    int // with which it exits in the end; 0 for no exit
		err     error
		want    string // the first line of evidence; empty if the error is returned
	}{
		"runs":                          {before: running(0, time.Hour), after: []string{running(0, time.Hour)}, err: failed},
		"restarted long ago":            {before: running(3, time.Hour), after: []string{running(3, time.Hour)}, err: failed},
		"restarted a short time ago":    {before: running(3, time.Second), after: []string{running(3, time.Second)}, exit: 4, err: failed, want: "container web exited with code 4"},
		"restarted, and reached":        {before: running(3, time.Second), after: []string{running(3, time.Second)}, reached: true, exit: 4, err: nil},
		"between two starts":            {before: running(3, time.Second), after: []string{restarting}, err: failed, want: "container web exited with code 3"},
		"restarted meanwhile":           {before: running(3, time.Second), after: []string{running(4, 0), restarting}, exit: 7, want: "container web exited with code 3"},
		"restarted meanwhile, and runs": {before: running(3, time.Second), after: []string{running(4, 0)}, reached: true, exit: 7, want: "container web exited with code 7"},
		"exits for the first time":      {before: running(0, time.Hour), after: []string{`{"Id": "1", "Name": "/web", "State": {"Status": "exited", "ExitCode": 9}}`}, reached: true, want: "container web exited with code 9"},
		"removed":                       {before: running(0, time.Hour), err: failed, want: "container web was removed while it was probed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &containersEngine{containers: map[string][]string{"1": test.after}, exit: make(chan container.WaitResponse, 1)}
			if test.exit != 0 {
				e.exit <- container.WaitResponse{StatusCode: int64(test.exit)}
			}
			r := newTestRun(e)
			response, err := parseInspection(test.before)
			assert.NilError(t, err)
			r.setServer(response, 8080)
			defer r.watchExit(t.Context(), response)()
			r.places = []*place{{vantage: probing.Vantage{Name: "host"}, probes: []report.Probe{{OK: test.reached}}}}
			err = r.recheck(t.Context(), test.err)
			if test.want == "" {
				assert.Equal(t, err, test.err)
				assert.Assert(t, r.known.Server.Down == nil, lines(r.known.Server.Down))
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, r.known.Server.Down.Cause, diagnosis.ServerExited)
			assert.Equal(t, r.known.Server.Down.Evidence[0], test.want)
			r.summarize()
			r.addState()
			assert.Assert(t, is.Len(r.report.Findings, 1))
			assert.Equal(t, r.report.Findings[0].Severity, report.SeverityError)
			assert.Assert(t, is.Len(r.report.Best, 0))
		})
	}
}

// A server that is reached between two exits is a warning. What the engine reports of the
// state of one that is not is evidence.
func TestAddState(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		inspection string
		reached    bool
		want       string
	}{
		"steady":                          {running(5, time.Hour), true, ""},
		"restarted once":                  {running(1, time.Second), true, ""},
		"restarted again and again":       {running(5, time.Second), true, "warning server-exited"},
		"not reached, restarted long ago": {running(1, time.Hour), false, "error : the engine has restarted it 1 time"},
		"not reached, not healthy": {
			`{"State": {"Running": true, "Health": {"Status": "unhealthy", "FailingStreak": 2, "Log": [{"ExitCode": 1, "Output": "a\nb \u001b\n"}]}}}`, false,
			`error : the health check says unhealthy: it failed 2 times in a row, the last time with exit code 1: b \x1b`,
		},
		"not reached, a process was killed": {`{"State": {"Running": true, "OOMKilled": true}}`, false, "error : the kernel has killed a process"},
		"reached, not healthy":              {`{"State": {"Running": true, "Health": {"Status": "unhealthy", "FailingStreak": 2, "Log": [{}]}}}`, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestRun(&containersEngine{})
			response, err := parseInspection(test.inspection)
			assert.NilError(t, err)
			r.setServer(response, 8080)
			r.known.Server.Bindings = []facts.Binding{{HostPort: 8080}}
			probe := report.Probe{Vantage: "host", Kind: report.KindContainerIP, Address: "172.17.0.2:8080", OK: test.reached}
			if !test.reached {
				probe.Failure = netprobe.NoResponse
			}
			r.places = []*place{{vantage: probing.Vantage{Name: "host"}, probes: []report.Probe{probe}}}
			r.summarize()
			r.addState()
			var got []string
			for _, f := range r.report.Findings {
				got = append(got, fmt.Sprintf("%s %s: %s", f.Severity, f.Cause, strings.Join(f.Evidence, "; ")))
			}
			assert.Equal(t, len(got) == 0, test.want == "", "%q", got)
			head, tail, _ := strings.Cut(test.want, ": ")
			assert.Check(t, strings.HasPrefix(strings.Join(got, ""), head) && strings.Contains(strings.Join(got, ""), tail), "%q", got)
		})
	}
}

func TestStaleNetworkFault(t *testing.T) {
	t.Parallel()
	const owner = `{"Id": "77", "Name": "/vpn", "State": {"Status": %q, "Running": %t, "Restarting": %t, "ExitCode": 2, "StartedAt": %q}}`
	for name, test := range map[string]struct {
		mode, owner string
		labels      string
		want        string // a line of the fault; empty for none
	}{
		"its own network":     {"bridge", "", "", ""},
		"that of the host":    {"host", "", "", ""},
		"an owner that runs":  {"container:77", fmt.Sprintf(owner, "running", true, false, "2024-01-01T00:00:00.5Z"), "", ""},
		"unknown start":       {"container:77", fmt.Sprintf(owner, "running", true, false, ""), "", ""},
		"restarted":           {"container:77", fmt.Sprintf(owner, "running", true, false, "2024-01-01T00:00:01.5Z"), "", "docker restart web"},
		"stopped":             {"container:77", fmt.Sprintf(owner, "exited", false, false, "2024-01-01T00:00:00Z"), "", "docker start vpn\ndocker restart web"},
		"restarts repeatedly": {"container:77", fmt.Sprintf(owner, "restarting", true, true, "2024-01-01T00:00:00Z"), "", "docker logs vpn\ndocker restart web"},
		"gone":                {"container:78", "", "", "docker rm -f web\ndocker run --name web --network container:CONTAINER ..."},
		"gone, with Compose":  {"container:78", "", `"com.docker.compose.service": "app", "com.docker.compose.project.config_files": "/a.yaml"`, "docker compose up -d --force-recreate app"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &containersEngine{containers: map[string][]string{"77": {test.owner}}}
			response, err := parseInspection(fmt.Sprintf(`{"Name": "/web", "State": {"Running": true, "StartedAt": "2024-01-01T00:00:01Z"}, "HostConfig": {"NetworkMode": %q}, "Config": {"Labels": {%s}}}`, test.mode, test.labels))
			assert.NilError(t, err)
			fault, err := StaleNetworkFault(t.Context(), newTestRun(e).reader, response)
			assert.NilError(t, err)
			assert.Equal(t, fault != nil, test.want != "", lines(fault))
			if fault != nil {
				assert.Equal(t, fault.Cause, diagnosis.NetworkNamespaceStale)
				assert.Check(t, is.Contains(lines(fault), test.want))
			}
		})
	}
}

// notes are the notes of a command's progress.
type notes struct {
	engine.Progress
	all []string
}

func (n *notes) Note(text string) { n.all = append(n.all, text) }

// That the sockets could not be read is worth a note only if the server runs.
func TestUnknownListenersAreNoted(t *testing.T) {
	t.Parallel()
	for _, down := range []*report.Fault{nil, {Cause: diagnosis.ServerExited}} {
		noted := &notes{}
		r := newTestRun(&containersEngine{})
		r.progress, r.known.Server.Down = noted, down
		r.noteUnknown()
		assert.Equal(t, len(noted.all), 0)
		assert.NilError(t, r.recordUnknown(t.Context(), errors.New("cannot join network of a non running container")))
		r.noteUnknown()
		assert.Equal(t, len(noted.all) == 1, down == nil, "%q", noted.all)
	}
}
