//go:build linux

package plugin_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// hangs bounds waits. They end long before, unless a process hangs.
const hangs = 2 * time.Minute

// privateKinds are kinds for private engines: what these tests make would look like
// leftovers to commands that other tests run on a shared engine. They differ in how they
// carry a lease, publish a port and remove what is running. Tests of one kind use Toolbox,
// whose client is on another machine.
func privateKinds() []enginetest.Kind {
	return []enginetest.Kind{enginetest.Engine28_5, enginetest.Podman}
}

// untappedKinds are for tests without a tap. A tap needs a socket of an engine that runs
// as root.
func untappedKinds() []enginetest.Kind {
	return append(privateKinds(), enginetest.Toolbox, enginetest.SSH, enginetest.Rootless)
}

// bench is a private engine with what a test needs on it.
type bench struct {
	*enginetest.Engine
	api    *client.Client
	config string // DOCKER_CONFIG, with the plugin
	image  string // of a server, in place of a user's
}

func newBench(t *testing.T, kind enginetest.Kind) *bench {
	t.Helper()
	engine := enginetest.StartPrivate(t, kind)
	config := t.TempDir()
	assert.NilError(t, installPlugin(config))
	return &bench{Engine: engine, api: engine.Client(t), config: config, image: enginetest.TestImage(t, engine)}
}

// inside are the arguments of an experiment in a client container.
func inside(flags ...string) []string { return append([]string{"in-container"}, flags...) }

// onEach runs a test on a private engine of each kind, in parallel.
func onEach(t *testing.T, kinds []enginetest.Kind, test func(*testing.T, *bench)) {
	t.Helper()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(t, newBench(t, kind))
		})
	}
}

// silent are the arguments of a run whose server never listens, so that it waits for an
// answer until it is stopped.
func (b *bench) silent(flags ...string) []string {
	args := append([]string{"run", "--wait", "10m"}, flags...)
	return append(args, b.image, "--listen", "none")
}

// waiting are the arguments of a command whose client waits for an answer, and the
// number of containers that run then.
func (b *bench) waiting(image ...string) (args []string, running int) {
	args = inside("--wait", "10m", "--network-driver", "bridge")
	if len(image) == 0 { // the built-in server always answers, if only the client is on a network
		return append(args, "--client-network", "none", "--servers", "3"), 4
	}
	return append(append(args, image...), "--listen", "none"), 2
}

// nestprobe is the command `docker nestprobe`, in a new process group.
func (b *bench) nestprobe(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := b.Command(t.Context(), "docker", append([]string{"nestprobe"}, args...)...)
	cmd.Env = append(cmd.Env, "DOCKER_CONFIG="+b.config, "HOME="+b.config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// through leads a command to the engine through a tap.
func through(cmd *exec.Cmd, tap *tap) *exec.Cmd {
	cmd.Env = append(cmd.Env, "DOCKER_HOST="+tap.Host, "DOCKER_TLS_VERIFY=", "DOCKER_CERT_PATH=")
	return cmd
}

// succeeds runs a command that is to succeed and returns its stderr.
func (b *bench) succeeds(t *testing.T, args ...string) string {
	t.Helper()
	p := start(t, b.nestprobe(t, args...))
	assert.Check(t, is.Equal(p.status(t), 0), "%s", &p.stderr)
	return p.stderr.String()
}

// pollPause is the pause between two looks at an engine's containers. They are polled
// because not every engine reports all that happens in its events.
const pollPause = 20 * time.Millisecond

// eventually polls until a condition holds, and returns false if that takes longer
// than the limit.
func eventually(limit time.Duration, holds func() bool) bool {
	return eventuallyEvery(pollPause, limit, holds)
}

// eventuallyEvery does that with another pause.
func eventuallyEvery(pause, limit time.Duration, holds func() bool) bool {
	over := time.After(limit)
	for !holds() {
		select {
		case <-time.After(pause):
		case <-over:
			return false
		}
	}
	return true
}

func (b *bench) awaitContainers(t *testing.T, what string, enough func([]container.Summary) bool) []container.Summary {
	t.Helper()
	var all []container.Summary
	var err error
	if !eventually(hangs, func() bool { all, err = b.list(t); return err == nil && enough(all) }) {
		t.Fatalf("waited for %s; there are: %v (%v)", what, all, err)
	}
	return all
}

// awaitRunning waits until a container of nestprobe runs and returns it.
func (b *bench) awaitRunning(t *testing.T) container.Summary {
	t.Helper()
	return b.awaitContainers(t, "a running container of nestprobe", func(all []container.Summary) bool {
		return len(all) > 0 && all[0].State == "running"
	})[0]
}

// awaitAllRunning waits until the given number of a command's containers run.
func (b *bench) awaitAllRunning(t *testing.T, p *process, count int) []container.Summary {
	t.Helper()
	return b.awaitContainers(t, fmt.Sprintf("%d running containers of nestprobe", count), func(all []container.Summary) bool {
		assert.Assert(t, is.Len(p.ended, 0), "the command has ended: %s%s", &p.stdout, &p.stderr)
		for _, c := range all {
			if c.State != "running" {
				return false
			}
		}
		return len(all) == count
	})
}

// awaitGone waits until no container of nestprobe is left.
func (b *bench) awaitGone(t *testing.T) {
	t.Helper()
	b.awaitContainers(t, "no container of nestprobe", func(all []container.Summary) bool { return len(all) == 0 })
}

func (b *bench) awaitNetworksGone(t *testing.T) {
	t.Helper()
	if !eventually(hangs, func() bool { return len(b.networks(t)) == 0 }) {
		t.Fatalf("networks are left: %v", b.networks(t))
	}
}

// ours selects what nestprobe has made.
func ours() filters.Args { return filters.NewArgs(filters.Arg("label", engine.LabelRun)) }

func (b *bench) containers(t *testing.T) []container.Summary {
	t.Helper()
	all, err := b.list(t)
	assert.NilError(t, err)
	return all
}

// list fails on Podman while a container is ending ("read /proc/PID/cgroup: no such
// process", seen with 4.3), so callers that wait for the end must repeat it.
func (b *bench) list(t *testing.T) ([]container.Summary, error) {
	t.Helper()
	return b.api.ContainerList(t.Context(), container.ListOptions{All: true, Filters: ours()})
}

func (b *bench) networks(t *testing.T) []network.Summary {
	t.Helper()
	all, err := b.api.NetworkList(t.Context(), network.ListOptions{Filters: ours()})
	assert.NilError(t, err)
	return all
}

// volumes are the names of all volumes on the engine.
func (b *bench) volumes(t *testing.T) []string {
	t.Helper()
	all, err := b.api.VolumeList(t.Context(), volume.ListOptions{})
	assert.NilError(t, err)
	names := make([]string, len(all.Volumes))
	for i, v := range all.Volumes {
		names[i] = v.Name
	}
	return names
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

// causes are those of the findings in a command's JSON.
func causes(t *testing.T, p *process) []string {
	t.Helper()
	var rep report.Report
	assert.NilError(t, json.Unmarshal([]byte(p.stdout.String()), &rep), "%s", &p.stdout)
	all := make([]string, len(rep.Findings))
	for i, finding := range rep.Findings {
		all[i] = string(finding.Cause)
	}
	return all
}

func itoa(n int) string { return strconv.Itoa(n) }

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	assert.NilError(t, err)
	return n
}
