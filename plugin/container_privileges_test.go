//go:build linux

package plugin_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// nobody is the user of the agent's image. A client is root, unless the user wants
// another: the engine's socket is root's.
const (
	nobody = "65534:65534"
	root   = "0:0"
)

// What the commands really make of the agent has the least that it needs, and goes
// by itself: with its lease, and the built-in server with a deadline of its own too.
func TestContainersHaveLeastPrivilege(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Engine28_5)
	b.makeContainer(t, "users", "", nil, true)
	made := newMade(t, b)
	tests := []struct {
		name  string
		args  []string
		users map[string]string // of the containers, by what the agent does in them
	}{
		{"run", []string{"run"}, map[string]string{"serve": nobody}},
		{"what listens", []string{"run", "--wait", "1s", b.image, "--listen", "none"}, map[string]string{"sockets": nobody}},
		{"client", inside(made.socket...), map[string]string{"client": root, "serve": nobody}},
		{"relay", append(inside(made.socket...), "--relay"), map[string]string{"relay": root, "serve": nobody}},
		{"from", inside("--from", "users"), map[string]string{"probe": nobody, "serve": nobody}},
		{"diagnose", []string{"diagnose", "--from", "network:bridge", "users:8080"}, map[string]string{"probe": nobody, "sockets": nobody}},
		{"nested", inside("--access", "dind", "--dind-image", enginetest.DindImage(t, b.Engine)), map[string]string{"client": nobody, "probe": nobody}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, through(b.nestprobe(t, test.args...), made.tap))
			assert.Check(t, p.status(t) <= 1, "%s", &p.stderr)
			users := map[string]string{}
			for _, c := range made.take(t) {
				users[c.Config.Cmd[0]] = c.Config.User
				checkLeast(t, c)
				checkEnds(t, c)
			}
			assert.Check(t, is.DeepEqual(users, test.users))
			checkNothingLeft(t, b.Engine)
		})
	}
}

// checkLeast looks at what a container of the agent's may do.
func checkLeast(t *testing.T, c container.InspectResponse) {
	t.Helper()
	host := c.HostConfig
	assert.Check(t, host.ReadonlyRootfs, c.Name)
	assert.Check(t, is.DeepEqual([]string(host.CapDrop), []string{"ALL"}), c.Name)
	assert.Check(t, is.Len(host.CapAdd, 0), c.Name)
	assert.Check(t, is.Contains(host.SecurityOpt, "no-new-privileges"), c.Name)
	assert.Check(t, !host.Privileged, c.Name)
	assert.Check(t, is.Equal(host.IpcMode, container.IPCModeNone), c.Name)
	assert.Check(t, is.Len(c.Config.Volumes, 0), c.Name)
}

// checkEnds looks at what makes a container of the agent's go when nobody removes
// it, and leave nothing on the engine's disk.
func checkEnds(t *testing.T, c container.InspectResponse) {
	t.Helper()
	assert.Check(t, c.HostConfig.AutoRemove, c.Name)
	assert.Check(t, is.Equal(c.HostConfig.LogConfig.Type, "none"), c.Name)
	assert.Check(t, c.Config.OpenStdin && c.Config.StdinOnce, "%s has no lease", c.Name)
	if c.Config.Cmd[0] != "serve" {
		return // whatever else it does over its stdin, it ends with that
	}
	assert.Check(t, slices.Contains(c.Config.Cmd, "--lease"), "%v", c.Config.Cmd)
	at := slices.Index(c.Config.Cmd, "--deadline")
	assert.Assert(t, at > 0 && at+1 < len(c.Config.Cmd), "%v", c.Config.Cmd)
	deadline, err := time.ParseDuration(c.Config.Cmd[at+1])
	assert.Check(t, err)
	assert.Check(t, deadline > 0)
}

// made is what commands make of the agent on an engine, as the engine has it when it
// is about to be started.
type made struct {
	tap    *tap
	socket []string // arguments that lead a client past the same tap

	mu         sync.Mutex
	containers []container.InspectResponse
	errs       []error
}

func newMade(t *testing.T, b *bench) *made {
	t.Helper()
	m := &made{}
	m.tap = startTap(t, b.Engine, func(at moment) {
		if !at.is("POST /containers/ID/start", false) {
			return
		}
		found, err := b.api.ContainerInspect(t.Context(), strings.Split(at.Request, "/")[2])
		m.mu.Lock()
		defer m.mu.Unlock()
		switch {
		case err != nil:
			m.errs = append(m.errs, err)
		case strings.HasPrefix(found.Config.Image, "nestprobe-agent:"):
			m.containers = append(m.containers, found)
		}
	})
	m.socket = []string{"--access", "socket", "--socket-path", strings.TrimPrefix(m.tap.Host, "unix://")}
	return m
}

// take returns what has been made since the last time.
func (m *made) take(t *testing.T) []container.InspectResponse {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	assert.Check(t, is.Len(m.errs, 0))
	taken := m.containers
	m.containers, m.errs = nil, nil
	return taken
}
