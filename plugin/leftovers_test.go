//go:build linux

package plugin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// moments are those of a run at which it may be killed, in their order, and how
// many servers stay until a command after their deadline: those that never ran,
// and so had no lease to lose.
var moments = []struct {
	name     string
	request  string
	answered bool
	left     int
}{
	{"the image is being loaded", "POST /images/load", false, 0},
	{"the container has been created", "POST /containers/create", true, 1},
	{"the lease has been taken", "POST /containers/ID/attach", true, 1},
	{"the container has been started", "POST /containers/ID/start", true, 0},
	{"its addresses are known", "GET /containers/ID/json", true, 0},
	{"the container is being removed", "DELETE /containers/ID", false, 0},
}

// A plugin that is killed takes its built-in server with it, by the lease.
func TestPluginKilled(t *testing.T) {
	t.Parallel()
	for _, kind := range privateKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, kind)
			for _, at := range moments {
				t.Run(at.name, func(t *testing.T) { killAt(t, b, at.request, at.answered, at.left) })
			}
		})
	}
}

func killAt(t *testing.T, b *bench, request string, answered bool, left int) {
	t.Helper()
	var once sync.Once
	killed := make(chan time.Time, 1)
	tap := startTap(t, b.Engine, func(m moment) {
		if m.is(request, answered) {
			once.Do(func() {
				killed <- time.Now() // first: whoever waits for the end of the process looks at it
				_ = syscall.Kill(m.Client, syscall.SIGKILL)
			})
		}
	})
	p := start(t, through(b.nestprobe(t, "run", "--wait", "1s"), tap)) // a tap on Toolbox leads to no server
	status := p.status(t)
	assert.Assert(t, is.Len(killed, 1), "the moment did not come: %s", &p.stderr)
	at := <-killed
	assert.Check(t, status != 0, "docker says that all is well")
	all := b.awaitContainers(t, "servers to end", func(all []container.Summary) bool {
		return len(all) == left
	})
	t.Logf("status %d; settled %s after SIGKILL", status, time.Since(at).Round(time.Millisecond))
	for _, c := range all { // until the deadline
		assert.Check(t, is.Equal(c.State, "created"))
		assert.NilError(t, b.api.ContainerRemove(t.Context(), c.ID, container.RemoveOptions{}))
	}
}

// A docker command that is killed takes its plugin with it, which still cleans
// up: it is told by the end of docker's socket.
func TestDockerKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	p := start(t, b.nestprobe(t, b.silent("--network-driver", "bridge")...))
	b.running(t)
	p.signal(t, syscall.SIGKILL)
	assert.Check(t, is.Equal(p.status(t), -1)) // which waits for the plugin, too
	assert.Check(t, is.Equal(p.stderr.String(), "interrupted\n"))
	checkNothingLeft(t, b.Engine)
}

// A user's server has no lease. When the plugin was killed it stays until its
// deadline, and the next command after that removes it and says so.
func TestUserServerStaysUntilDeadline(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Engine26_1)
	p := start(t, b.nestprobe(t, "run", "--wait", "1s", "--network-driver", "bridge", b.image, "--listen", "none"))
	left := b.running(t)
	assert.NilError(t, p.plugin(t).Kill())
	p.status(t)
	deadline, err := time.Parse(time.RFC3339, left.Labels[experiment.LabelDeadline])
	assert.NilError(t, err)

	assert.Check(t, is.Equal(b.succeeds(t, "run", "-q"), ""))
	assert.Check(t, is.Len(b.containers(t), 1), "it was removed before its deadline")
	<-time.After(time.Until(deadline) + time.Second) // the label has whole seconds
	assert.Check(t, is.Equal(b.succeeds(t, "run", "-q"), "removed 2 leftovers of earlier runs whose deadline had passed\n"))
	checkNothingLeft(t, b.Engine)
}

// succeeds runs a command to its end and returns what it said on stderr.
func (b *bench) succeeds(t *testing.T, args ...string) string {
	t.Helper()
	p := start(t, b.nestprobe(t, args...))
	assert.Check(t, is.Equal(p.status(t), 0), "%s", &p.stderr)
	return p.stderr.String()
}

// Only what carries both labels and a deadline in the past is removed.
func TestSweep(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-time.Second).UTC().Format(time.RFC3339)
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	tests := []struct {
		name   string
		labels map[string]string
		stays  bool
	}{
		{"nestprobe-past", map[string]string{experiment.LabelRun: "past", experiment.LabelDeadline: past}, false},
		{"nestprobe-future", map[string]string{experiment.LabelRun: "future", experiment.LabelDeadline: future}, true},
		{"nestprobe-kept", map[string]string{experiment.LabelRun: "kept", experiment.LabelDeadline: "never"}, true},
		{"nestprobe-odd", map[string]string{experiment.LabelRun: "odd", experiment.LabelDeadline: "0"}, true},
		{"nestprobe-no-deadline", map[string]string{experiment.LabelRun: "no-deadline"}, true},
		{"nestprobe-no-run", map[string]string{experiment.LabelDeadline: past}, true},
		{"nestprobe-no-label", nil, true},
	}
	for _, kind := range privateKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, kind)
			for _, test := range tests {
				b.makeNetwork(t, test.name, test.labels)
				// On its network, so that the one cannot go without the other.
				b.makeContainer(t, test.name+"-running", test.name, test.labels, true)
				b.makeContainer(t, test.name+"-created", test.name, test.labels, false)
			}
			assert.Check(t, is.Equal(b.succeeds(t, "run", "-q"), "removed 3 leftovers of earlier runs whose deadline had passed\n"))
			for _, test := range tests {
				_, err := b.api.NetworkInspect(t.Context(), test.name, network.InspectOptions{})
				assert.Check(t, is.Equal(err == nil, test.stays), "network %s: %v", test.name, err)
				for _, state := range []string{"running", "created"} {
					found, err := b.api.ContainerInspect(t.Context(), test.name+"-"+state)
					assert.Check(t, is.Equal(err == nil, test.stays), "%s %s: %v", state, test.name, err)
					if err == nil {
						assert.Check(t, is.Equal(found.State.Status, state), "%s", test.name)
					}
				}
			}
		})
	}
}

// A leftover network that a container of the user's has joined stays, and does
// not hold up anything.
func TestSweepNetworkInUse(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-time.Second).UTC().Format(time.RFC3339)
	labels := map[string]string{experiment.LabelRun: "past", experiment.LabelDeadline: past}
	for _, kind := range privateKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, kind)
			b.makeNetwork(t, "nestprobe-used", labels)
			b.makeContainer(t, "users", "nestprobe-used", nil, true)
			b.makeContainer(t, "nestprobe-past", "", labels, true)
			said := b.succeeds(t, "run", "-q")
			assert.Check(t, is.Contains(said, "could not remove leftovers of earlier runs: network nestprobe-used is in use by users\n"))
			assert.Check(t, is.Contains(said, "removed 1 leftover of earlier runs whose deadline had passed\n"))
			found, err := b.api.ContainerInspect(t.Context(), "users")
			assert.NilError(t, err)
			assert.Check(t, found.State.Running)
			assert.Check(t, is.Len(found.NetworkSettings.Networks, 1))
			_, err = b.api.NetworkInspect(t.Context(), "nestprobe-used", network.InspectOptions{})
			assert.Check(t, err)
		})
	}
}

func (b *bench) makeNetwork(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	_, err := b.api.NetworkCreate(t.Context(), name, network.CreateOptions{Labels: labels})
	assert.NilError(t, err)
}

func (b *bench) makeContainer(t *testing.T, name, onNetwork string, labels map[string]string, run bool) {
	t.Helper()
	config := &container.Config{Image: b.image, Cmd: []string{"--listen", "none"}, Labels: labels}
	host := &container.HostConfig{NetworkMode: container.NetworkMode(onNetwork)}
	created, err := b.api.ContainerCreate(t.Context(), config, host, nil, nil, name)
	assert.NilError(t, err)
	if run {
		assert.NilError(t, b.api.ContainerStart(t.Context(), created.ID, container.StartOptions{}))
	}
}

// A container that took the name of a server before it was made is a stranger's.
func TestNameTaken(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	names := make(chan string, 1)
	tap := startTap(t, b.Engine, func(m moment) {
		if m.is("POST /containers/create", false) {
			b.makeContainer(t, m.Name, "", nil, true)
			names <- m.Name
		}
	})
	p := start(t, through(b.nestprobe(t, "run", "--format", "json"), tap))
	assert.Check(t, is.Equal(p.status(t), 125), "%s", &p.stderr)
	assert.Check(t, is.DeepEqual(causes(t, p), []string{"name-in-use"}))
	found, err := b.api.ContainerInspect(t.Context(), <-names)
	assert.NilError(t, err, "the stranger's container was removed")
	assert.Check(t, found.State.Running)
}

// unreached leads a command to an engine on another machine by its socket, so
// that none of its servers is reached: a built-in server, too, is waited for.
func (b *bench) unreached(cmd *exec.Cmd) *exec.Cmd {
	return through(cmd, &tap{Host: "unix://" + b.Socket})
}

// An engine that is killed and stays away: the command says so and ends. When
// the engine is back, the built-in server has gone by its lease; what the engine
// may not manage to remove (20.10 was seen to keep it as dead), the next command
// does.
func TestEngineKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	p := start(t, b.unreached(b.nestprobe(t, "run", "--wait", "1h", "--format", "json")))
	b.running(t)
	began := time.Now()
	assert.NilError(t, syscall.Kill(b.daemon(t), syscall.SIGKILL))
	assert.Check(t, is.Equal(p.status(t), 125))
	t.Logf("ended %s after the engine; said %s", time.Since(began), &p.stderr)
	assert.Check(t, is.DeepEqual(causes(t, p), []string{"engine-unreachable"}))
	assert.Check(t, is.Contains(p.stderr.String(), "the engine is not running, nothing listens at its socket "+b.Socket))
	b.Start(t)
	began = time.Now()
	next := start(t, b.nestprobe(t, "run", "--quiet"))
	assert.Check(t, is.Equal(next.status(t), 0), "%s", &next.stderr)
	b.gone(t)
	t.Logf("nothing left %s after the engine was back", time.Since(began))
}

// An engine that is restarted ends the run, with what it was seen to do: Docker
// stops its containers before it ends itself, Podman's service just ends. No
// container is left. A network may be: while Docker shuts down it says that it
// has none. That one goes after its deadline.
func TestEngineRestarted(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind   enginetest.Kind
		status int
		cause  string
	}{
		{enginetest.Toolbox, 1, "server-exited"},
		{enginetest.Podman, 125, "engine-unreachable"},
	}
	for _, test := range tests {
		t.Run(string(test.kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, test.kind)
			p := start(t, b.nestprobe(t, b.silent("--format", "json", "--network-driver", "bridge")...))
			b.running(t)
			b.Restart(t)
			status, causes := p.status(t), causes(t, p)
			if status == 125 { // it was lost before it could be asked for more
				assert.Check(t, is.DeepEqual(causes, []string{"engine-unreachable"}))
			} else {
				assert.Check(t, is.Equal(status, test.status))
				assert.Check(t, is.DeepEqual(causes, []string{test.cause}))
			}
			assert.Check(t, is.Len(b.containers(t), 0))
			for _, n := range b.networks(t) {
				_, err := time.Parse(time.RFC3339, n.Labels[experiment.LabelDeadline])
				assert.Check(t, err)
				assert.NilError(t, b.api.NetworkRemove(t.Context(), n.ID))
			}
		})
	}
}

// daemon is the process id of a Docker engine's daemon.
func (b *bench) daemon(t *testing.T) int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "pgrep", "--full", "^[^ ]*dockerd .*"+b.LogDir+"/dockerd.pid").Output()
	assert.NilError(t, err)
	return atoi(t, strings.TrimSpace(string(out)))
}

// causes are those of the findings in a command's JSON.
func causes(t *testing.T, p *process) []string {
	t.Helper()
	var rep report.Report
	assert.NilError(t, json.Unmarshal([]byte(p.stdout.String()), &rep), "%s", &p.stdout)
	all := make([]string, len(rep.Findings))
	for i, finding := range rep.Findings {
		all[i] = finding.Cause
	}
	return all
}

// A context that ends at any request to the engine, before it is made or before
// it is answered, leaves nothing behind, no container and no goroutine.
func TestCancelledAnywhere(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	b.api.NegotiateAPIVersion(t.Context())
	assert.Equal(t, b.succeeds(t, "run", "-q"), "") // to have the agent on the engine
	specs := map[string]experiment.Spec{
		"built-in": {Port: 4647, Path: "/foo", WebSocket: "/ws", Servers: 2, Temporary: &experiment.TemporaryNetwork{}},
		"user's":   {Port: 8080, Path: "/", Servers: 1, Image: b.image},
	}
	for name, spec := range specs {
		spec.Scheme, spec.Expect.Status, spec.PublishPort = netprobe.HTTP, 200, true
		spec.Wait, spec.Timeout, spec.Pull = 5*time.Second, time.Second, experiment.PullNever
		for when, answered := range map[string]bool{"asked": false, "answered": true} {
			t.Run(name+" "+when, func(t *testing.T) {
				n := 1
				for b.cancelAt(t, spec, n, answered) {
					n++
				}
				assert.Check(t, n > 8, "there were %d requests only", n-1)
			})
		}
	}
}

// cancelAt runs an experiment and ends its context at the nth request. It
// returns false when there were fewer.
func (b *bench) cancelAt(t *testing.T, spec experiment.Spec, n int, answered bool) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var at atomic.Pointer[moment]
	tap := startTap(t, b.Engine, func(m moment) {
		if m.Number == n && m.Answered == answered {
			at.Store(&m)
			cancel()
		}
	})
	api, err := client.NewClientWithOpts(client.WithHost(tap.Host), client.WithVersion(b.api.ClientVersion()))
	assert.NilError(t, err)
	engine := experiment.Engine{API: api, Host: b.Address, Describe: describe(api), AgentImage: b.agent}
	began := time.Now()
	_, err = experiment.Run(ctx, engine, spec, experiment.Options{Progress: silence{}, Vantage: experiment.Vantage{Name: experiment.VantageHost}})
	if at.Load() == nil {
		assert.NilError(t, err)
		return false
	}
	t.Logf("%d: %+v: %v after %s", n, *at.Load(), err, time.Since(began))
	assert.Check(t, err == nil || errors.Is(err, context.Canceled), "%v", err)
	checkNothingLeft(t, b.Engine)
	assert.NilError(t, api.Close())
	checkGoroutines(t)
	return true
}

func describe(api client.APIClient) func(context.Context) (experiment.Description, error) {
	return func(ctx context.Context) (experiment.Description, error) {
		_, err := api.ServerVersion(ctx)
		return experiment.Description{}, err
	}
}

// agent is the reference of the agent's image, which is on the engine.
func (b *bench) agent(ctx context.Context) (string, error) {
	images, err := b.api.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", "io.nestprobe.agent"))})
	if err != nil {
		return "", err
	}
	return images[0].RepoTags[0], nil
}

// silence is a Progress that tells nobody.
type silence struct{}

func (silence) Step(string) func()          { return func() {} }
func (silence) Pull(stream io.Reader) error { _, err := io.Copy(io.Discard, stream); return err }
func (silence) Note(string)                 {}

// checkGoroutines waits for the goroutines of experiments to end. No other test
// of this package runs an experiment in this process.
func checkGoroutines(t *testing.T) {
	t.Helper()
	limit := time.After(hangs)
	for {
		left := experimentGoroutines()
		if len(left) == 0 {
			return
		}
		select {
		case <-time.After(look):
		case <-limit:
			t.Fatalf("goroutines left behind:\n%s", strings.Join(left, "\n\n"))
		}
	}
}

func experimentGoroutines() []string {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var left []string
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "plugin_test.") {
			continue
		}
		if strings.Contains(stack, "docker-nestprobe/plugin/experiment.") || strings.Contains(stack, "docker-nestprobe/netprobe.") ||
			strings.Contains(stack, "Client).ContainerWait") {
			left = append(left, stack)
		}
	}
	return left
}

// What --keep leaves running is removed by the command that it prints.
func TestKept(t *testing.T) {
	t.Parallel()
	for _, kind := range privateKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, kind)
			said := b.succeeds(t, "run", "--keep", "-q", "--servers", "2", "--network-driver", "bridge")
			kept := b.containers(t)
			assert.Assert(t, is.Len(kept, 2))
			for _, c := range kept {
				assert.Check(t, is.Equal(c.State, "running"))
				assert.Check(t, is.Equal(c.Labels[experiment.LabelDeadline], "never"))
				found, err := b.api.ContainerInspect(t.Context(), c.ID)
				assert.NilError(t, err)
				assert.Check(t, !found.Config.OpenStdin, "a kept server has a lease")
			}
			assert.Check(t, is.Equal(b.succeeds(t, "run", "-q"), ""), "kept servers are leftovers")
			assert.Assert(t, is.Len(b.containers(t), 2))
			b.removeAsTold(t, said)
			checkNothingLeft(t, b.Engine)
		})
	}
}

// removeAsTold runs the command that run --keep has printed.
func (b *bench) removeAsTold(t *testing.T, said string) {
	t.Helper()
	_, command, ok := strings.Cut(strings.TrimSpace(said), "Kept; to remove: ")
	assert.Assert(t, ok, "%s", said)
	out, err := b.Command(t.Context(), "sh", "-c", command).CombinedOutput()
	assert.NilError(t, err, "%s: %s", command, out)
}

// An interrupted run keeps nothing.
func TestKeepInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	p := start(t, b.nestprobe(t, b.silent("--keep", "--network-driver", "bridge")...))
	b.running(t)
	p.signal(t, syscall.SIGINT)
	assert.Check(t, is.Equal(p.status(t), statusInterrupted))
	checkNothingLeft(t, b.Engine)
}

// Output that cannot be written is an error, and not a reason to leave anything
// behind untold.
func TestOutputFails(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	full := func(t *testing.T) *os.File {
		t.Helper()
		file, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		assert.NilError(t, err)
		return file
	}
	unread := func(t *testing.T) *os.File {
		t.Helper()
		reader, writer, err := os.Pipe()
		assert.NilError(t, err)
		assert.NilError(t, reader.Close())
		return writer
	}
	tests := []struct {
		name string
		open func(*testing.T) *os.File
		says string
	}{
		{"full disk", full, "writing the report: write /dev/stdout: no space left on device\n"},
		{"nobody reads", unread, "writing the report: write /dev/stdout: broken pipe\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := startWriting(t, b.nestprobe(t, "run"), test.open(t))
			assert.Check(t, is.Equal(p.status(t), 125))
			assert.Check(t, is.Equal(p.stderr.String(), test.says))
			checkNothingLeft(t, b.Engine)
		})
		t.Run(test.name+" and kept", func(t *testing.T) {
			p := startWriting(t, b.nestprobe(t, "run", "--keep"), test.open(t))
			assert.Check(t, is.Equal(p.status(t), 125))
			told, _, _ := strings.Cut(p.stderr.String(), "\n")
			b.removeAsTold(t, told)
			checkNothingLeft(t, b.Engine)
		})
	}
}

// startWriting starts a command that writes its output to a file.
func startWriting(t *testing.T, cmd *exec.Cmd, file *os.File) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = file, &p.stderr
	assert.NilError(t, cmd.Start())
	assert.NilError(t, file.Close())
	p.await(t)
	return p
}
