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

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// An engine that is killed and stays away: the command says so and ends. When
// the engine is back, the built-in server has gone by its lease; what the engine
// does not manage to remove (20.10 was seen to keep it as dead), a command after that
// does.
func TestEngineKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	p := start(t, b.unreached(b.nestprobe(t, "run", "--wait", "1h", "--format", "json")))
	b.running(t)
	b.testKilled(t, p)
}

// With a helper there is more to remove, in the same time.
func TestEngineKilledWithHelper(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Toolbox)
	b.makeContainer(t, "users", "none", nil, true)
	p := start(t, b.unreached(b.nestprobe(t, inside("--from", "users", "--wait", "1h", "--format", "json")...)))
	b.allRunning(t, p, 2)
	b.testKilled(t, p)
}

// testKilled kills the engine below a command that waits for an answer.
func (b *bench) testKilled(t *testing.T, p *process) {
	t.Helper()
	began := time.Now()
	assert.NilError(t, syscall.Kill(b.daemon(t), syscall.SIGKILL))
	assert.Check(t, is.Equal(p.status(t), 125))
	t.Logf("ended %s after the engine; said %s", time.Since(began), &p.stderr)
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
		return !slices.ContainsFunc(all, func(c container.Summary) bool { return !b.ghost(t, c) })
	})
	t.Logf("nothing left %s after the engine was back", time.Since(began))
}

// ghost says whether the engine lists a container that it says it does not have, as
// 20.10 may do after it was killed, until it is started again. Nobody can remove that.
func (b *bench) ghost(t *testing.T, c container.Summary) bool {
	t.Helper()
	_, err := b.api.ContainerInspect(t.Context(), c.ID)
	return c.State == container.StateDead && errdefs.IsNotFound(err)
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
				_, err := time.Parse(time.RFC3339, n.Labels[engine.LabelDeadline])
				assert.Check(t, err)
				assert.NilError(t, b.api.NetworkRemove(t.Context(), n.ID))
			}
		})
	}
}

// unreached leads a command to an engine on another machine by its socket, so
// that none of its servers is reached: a built-in server, too, is waited for.
func (b *bench) unreached(cmd *exec.Cmd) *exec.Cmd {
	return through(cmd, &tap{Host: "unix://" + b.Socket})
}

// daemon is the process id of a Docker engine's daemon.
func (b *bench) daemon(t *testing.T) int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "pgrep", "--full", "^[^ ]*dockerd .*"+b.LogDir+"/dockerd.pid").Output()
	assert.NilError(t, err)
	return atoi(t, strings.TrimSpace(string(out)))
}
