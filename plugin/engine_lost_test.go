//go:build linux

package plugin_test

import (
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// When an engine is killed and does not come back, the command reports that and ends.
// When the engine is back, the built-in server has ended with its lease. The next
// command removes what the engine failed to remove: 20.10 was seen to keep a dead
// container.
func TestEngineKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	p := start(t, b.withoutServers(b.nestprobe(t, "run", "--wait", "1h", "--format", "json")))
	b.awaitRunning(t)
	b.testEngineKilled(t, p)
}

// With a helper there is more to remove, in the same time.
func TestEngineKilledWithHelper(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	b.makeContainer(t, "users", "none", nil, true)
	p := start(t, b.withoutServers(b.nestprobe(t, inside("--from", "users", "--wait", "1h", "--format", "json")...)))
	b.awaitAllRunning(t, p, 2)
	b.testEngineKilled(t, p)
}

// testEngineKilled kills the engine while a command waits for an answer.
func (b *bench) testEngineKilled(t *testing.T, p *process) {
	t.Helper()
	began := time.Now()
	assert.NilError(t, syscall.Kill(b.daemon(t), syscall.SIGKILL))
	assert.Check(t, is.Equal(p.status(t), 125))
	t.Logf("ended %s after the engine, with %s", time.Since(began), &p.stderr)
	assert.Check(t, time.Since(began) < 15*time.Second, "it took %s", time.Since(began)) // and not a minute
	assert.Check(t, is.DeepEqual(causes(t, p), []string{"engine-unreachable"}))
	assert.Check(t, is.Contains(p.stderr.String(), "the engine is not running, nothing listens at its socket "+b.Socket))
	b.Start(t)
	began = time.Now()
	b.awaitContainers(t, "the engine to be done with the server", func(all []container.Summary) bool {
		return !slices.ContainsFunc(all, func(c container.Summary) bool { return c.State != container.StateDead })
	})
	next := start(t, b.nestprobe(t, "run", "--quiet"))
	assert.Check(t, is.Equal(next.status(t), 0), "%s", &next.stderr)
	b.awaitContainers(t, "nothing that the engine knows of", func(all []container.Summary) bool {
		return !slices.ContainsFunc(all, func(c container.Summary) bool { return !b.isGhost(t, c) })
	})
	t.Logf("nothing left %s after the engine was back", time.Since(began))
}

// isGhost reports whether the engine lists a container that it cannot inspect or remove.
// 20.10 may do so after it was killed, until its next start.
func (b *bench) isGhost(t *testing.T, c container.Summary) bool {
	t.Helper()
	_, err := b.api.ContainerInspect(t.Context(), c.ID)
	return c.State == container.StateDead && errdefs.IsNotFound(err)
}

// When an engine is restarted, the run ends and reports what it saw: Docker stops its
// containers before it ends itself, Podman's service just ends. No container is left. A
// network may be left, until its deadline: Docker lists none while it shuts down.
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
			b.awaitRunning(t)
			b.Restart(t)
			status, causes := p.status(t), causes(t, p)
			if status == 125 { // the engine was lost before the server could be inspected
				assert.Check(t, is.DeepEqual(causes, []string{"engine-unreachable"}))
			} else {
				assert.Check(t, is.Equal(status, test.status))
				assert.Check(t, is.DeepEqual(causes, []string{test.cause}))
			}
			assert.Check(t, is.Len(b.containers(t), 0))
			b.awaitNetworksGone(t)
		})
	}
}

// withoutServers leads a command to an engine on another machine by its socket, so that
// no server is reached, and the command also waits for a built-in one.
func (b *bench) withoutServers(cmd *exec.Cmd) *exec.Cmd {
	return through(cmd, &tap{Host: "unix://" + b.Socket})
}

// daemon is the process id of a Docker engine's daemon.
func (b *bench) daemon(t *testing.T) int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "pgrep", "--full", "^[^ ]*dockerd .*"+b.LogDir+"/dockerd.pid").Output()
	assert.NilError(t, err)
	return atoi(t, strings.TrimSpace(string(out)))
}
