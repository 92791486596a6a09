//go:build linux

package plugin_test

import (
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// A server from a user's image has no lease. When the plugin was killed with its reaper, the
// server stays until its deadline. The next command after that removes it and reports so.
func TestUserServerStaysUntilDeadline(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Engine26_1)
	at := killMoment{"the server has been started", "POST /containers/ID/start", true, true}
	tap, killed := killAt(t, b, at, func(m moment) int { return m.Client })
	p := start(t, through(b.nestprobe(t, "run", "--wait", "1s", "--network-driver", "bridge", b.image, "--listen", "none"), tap))
	assert.Check(t, p.status(t) != 0)
	assert.Assert(t, is.Len(killed, 1), "the moment did not come: %s", &p.stderr)
	left := b.awaitRunning(t)
	deadline, err := time.Parse(time.RFC3339, left.Labels[engine.LabelDeadline])
	assert.NilError(t, err)

	assert.Check(t, is.Equal(b.succeeds(t, "run", "-q"), ""))
	assert.Check(t, is.Len(b.containers(t), 1), "it was removed before its deadline")
	awaitDeadline(deadline)
	assert.Check(t, is.Equal(b.succeeds(t, "run", "-q"), "removed 2 leftovers of earlier runs whose deadline had passed\n"))
	checkNothingLeft(t, b.Engine)
}

// awaitDeadline waits until a deadline, whose label has whole seconds, has passed.
func awaitDeadline(deadline time.Time) { <-time.After(time.Until(deadline) + time.Second) }

// A temporary network stays until its deadline when the plugin was killed with its reaper just
// after it was made. The next command after that removes it and reports so.
func TestNetworkStaysUntilDeadline(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Engine28_5)
	at := killMoment{"the network has been made", "POST /networks/create", true, true}
	tap, killed := killAt(t, b, at, func(m moment) int { return m.Client })
	p := start(t, through(b.nestprobe(t, "run", "--wait", "1s", "--network-driver", "bridge"), tap))
	assert.Check(t, p.status(t) != 0)
	assert.Assert(t, is.Len(killed, 1), "the moment did not come: %s", &p.stderr)
	left := b.networks(t)
	assert.Assert(t, is.Len(left, 1))
	deadline, err := time.Parse(time.RFC3339, left[0].Labels[engine.LabelDeadline])
	assert.NilError(t, err)
	assert.Check(t, is.Equal(b.succeeds(t, "run", "-q"), ""))
	assert.Check(t, is.Len(b.networks(t), 1), "it was removed before its deadline")
	awaitDeadline(deadline)
	assert.Check(t, is.Equal(b.succeeds(t, "run", "-q"), "removed 1 leftover of earlier runs whose deadline had passed\n"))
	checkNothingLeft(t, b.Engine)
}

// The sweep removes a nested engine with its data, which is in an anonymous volume. It
// leaves named volumes, which belong to the user.
func TestSweepRemovesAnonymousVolumes(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-time.Second).UTC().Format(time.RFC3339)
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		config := &container.Config{
			Image:   b.image,
			Cmd:     []string{"--listen", "none"},
			Labels:  map[string]string{engine.LabelRun: "past", engine.LabelDeadline: past},
			Volumes: map[string]struct{}{"/var/lib/docker": {}},
		}
		host := &container.HostConfig{Binds: []string{"users:/data"}}
		created, err := b.api.ContainerCreate(t.Context(), config, host, nil, nil, "nestprobe-past-dind")
		assert.NilError(t, err)
		assert.NilError(t, b.api.ContainerStart(t.Context(), created.ID, container.StartOptions{}))
		assert.Assert(t, is.Len(b.volumes(t), 2))
		assert.Check(t, is.Equal(b.succeeds(t, "run", "-q"), "removed 1 leftover of earlier runs whose deadline had passed\n"))
		checkNothingLeft(t, b.Engine)
		assert.Check(t, is.DeepEqual(b.volumes(t), []string{"users"}))
	})
}

// Only what carries both labels and a deadline in the past is removed.
func TestSweepRemovesOnlyOverdueLeftovers(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-time.Second).UTC().Format(time.RFC3339)
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	tests := []struct {
		name   string
		labels map[string]string
		stays  bool
	}{
		{"nestprobe-past", map[string]string{engine.LabelRun: "past", engine.LabelDeadline: past}, false},
		{"nestprobe-future", map[string]string{engine.LabelRun: "future", engine.LabelDeadline: future}, true},
		{"nestprobe-kept", map[string]string{engine.LabelRun: "kept", engine.LabelDeadline: "never"}, true},
		{"nestprobe-odd", map[string]string{engine.LabelRun: "odd", engine.LabelDeadline: "0"}, true},
		{"nestprobe-no-deadline", map[string]string{engine.LabelRun: "no-deadline"}, true},
		{"nestprobe-no-run", map[string]string{engine.LabelDeadline: past}, true},
		{"nestprobe-no-label", nil, true},
	}
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		for _, test := range tests {
			b.makeNetwork(t, test.name, test.labels)
			// On its network, which cannot be removed before the container.
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

// A leftover network that a user's container has joined stays. The other leftovers are
// removed all the same.
func TestSweepNetworkInUse(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-time.Second).UTC().Format(time.RFC3339)
	labels := map[string]string{engine.LabelRun: "past", engine.LabelDeadline: past}
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		b.makeNetwork(t, "nestprobe-used", labels)
		b.makeContainer(t, "users", "nestprobe-used", nil, true)
		b.makeContainer(t, "nestprobe-past", "", labels, true)
		stderr := b.succeeds(t, "run", "-q")
		assert.Check(t, is.Contains(stderr, "could not remove leftovers of earlier runs: network nestprobe-used is in use by users\n"))
		assert.Check(t, is.Contains(stderr, "removed 1 leftover of earlier runs whose deadline had passed\n"))
		found, err := b.api.ContainerInspect(t.Context(), "users")
		assert.NilError(t, err)
		assert.Check(t, found.State.Running)
		assert.Check(t, is.Len(found.NetworkSettings.Networks, 1))
		_, err = b.api.NetworkInspect(t.Context(), "nestprobe-used", network.InspectOptions{})
		assert.Check(t, err)
	})
}

// A container that took the name of a server before the server was made is not removed.
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
	assert.NilError(t, err, "the other container was removed")
	assert.Check(t, found.State.Running)
}
