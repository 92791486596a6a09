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

// nobody is the user of the agent's image. A client is root by default, since the
// engine's socket belongs to root.
const (
	nobody = "65534:65534"
	root   = "0:0"
)

// Every container of the agent has only the privileges that it needs. It ends with its
// lease, and a built-in server also at its deadline.
func TestContainersHaveLeastPrivilege(t *testing.T) { //nolint:tparallel // one engine, on which each looks for what is left
	t.Parallel()
	b := newBench(t, enginetest.Engine28_5)
	b.makeContainer(t, "users", "", nil, true)
	made := recordAgentContainers(t, b)
	tests := []struct {
		name  string
		args  []string
		users map[string]string // of the containers, by what the agent does in them
	}{
		{"run", []string{"run"}, map[string]string{"serve": nobody}},
		{"listeners", []string{"run", "--wait", "1s", b.image, "--listen", "none"}, map[string]string{"probe": nobody}},
		{"client", inside(made.socket...), map[string]string{"client": root, "serve": nobody}},
		{"relay", append(inside(made.socket...), "--relay"), map[string]string{"relay": root, "serve": nobody}},
		{"from", inside("--from", "users"), map[string]string{"probe": nobody, "serve": nobody}},
		{"diagnose", []string{"diagnose", "--from", "network:bridge", "users:8080"}, map[string]string{"probe": nobody}},
		{"nested", inside("--access", "dind", "--dind-image", enginetest.DindImage(t, b.Engine)), map[string]string{"client": nobody, "probe": nobody}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, through(b.nestprobe(t, test.args...), made.tap))
			assert.Check(t, p.status(t) <= 1, "%s", &p.stderr)
			users := map[string]string{}
			for _, c := range made.take(t) {
				users[c.Config.Cmd[0]] = c.Config.User
				checkPrivileges(t, c, nil)
				checkEnds(t, c)
			}
			assert.Check(t, is.DeepEqual(users, test.users))
			checkNothingLeft(t, b.Engine)
		})
	}
}

// The helper that looks into the processes of a container, which has joined the network of
// others, may do that, and no more.
func TestProcessReaderHasLeastPrivilege(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Engine28_5)
	b.makeContainer(t, "on-host", "host", nil, true)
	made := recordAgentContainers(t, b)
	p := start(t, through(b.nestprobe(t, "diagnose", "on-host:8080"), made.tap))
	assert.Check(t, p.status(t) <= 1, "%s", &p.stderr)
	readers := 0
	for _, c := range made.take(t) {
		if !c.HostConfig.PidMode.IsContainer() {
			checkPrivileges(t, c, nil)
			continue
		}
		readers++
		assert.Check(t, is.Equal(c.Config.User, root))
		checkPrivileges(t, c, []string{"CAP_SETUID", "CAP_SYS_PTRACE"})
		checkEnds(t, c)
	}
	assert.Check(t, is.Equal(readers, 1))
	checkNothingLeft(t, b.Engine)
}

// checkPrivileges checks what a container of the agent may do.
func checkPrivileges(t *testing.T, c container.InspectResponse, capabilities []string) {
	t.Helper()
	host := c.HostConfig
	assert.Check(t, host.ReadonlyRootfs, c.Name)
	assert.Check(t, is.DeepEqual([]string(host.CapDrop), []string{"ALL"}), c.Name)
	added := slices.Sorted(slices.Values([]string(host.CapAdd)))
	assert.Check(t, slices.Equal(added, capabilities), "%s has %v", c.Name, added)
	assert.Check(t, is.Contains(host.SecurityOpt, "no-new-privileges"), c.Name)
	assert.Check(t, !host.Privileged, c.Name)
	assert.Check(t, is.Equal(host.IpcMode, container.IPCModeNone), c.Name)
	assert.Check(t, is.Len(c.Config.Volumes, 0), c.Name)
	assert.Check(t, host.Memory > 0 && host.Memory <= 256<<20, "%s may use %d bytes", c.Name, host.Memory)
	assert.Check(t, host.PidsLimit != nil && *host.PidsLimit > 0 && *host.PidsLimit <= 256, "%s may have %v processes", c.Name, host.PidsLimit)
}

// checkEnds checks that a container of the agent ends even if it is not removed, and
// leaves nothing on the engine's disk.
func checkEnds(t *testing.T, c container.InspectResponse) {
	t.Helper()
	assert.Check(t, c.HostConfig.AutoRemove, c.Name)
	assert.Check(t, is.Equal(c.HostConfig.LogConfig.Type, "none"), c.Name)
	assert.Check(t, c.Config.OpenStdin && c.Config.StdinOnce, "%s has no lease", c.Name)
	if c.Config.Cmd[0] != "serve" {
		return // the other subcommands end with their stdin
	}
	assert.Check(t, slices.Contains(c.Config.Cmd, "--lease"), "%v", c.Config.Cmd)
	at := slices.Index(c.Config.Cmd, "--deadline")
	assert.Assert(t, at > 0 && at+1 < len(c.Config.Cmd), "%v", c.Config.Cmd)
	deadline, err := time.ParseDuration(c.Config.Cmd[at+1])
	assert.Check(t, err)
	assert.Check(t, deadline > 0)
}

// agentContainers records the containers of the agent that commands make on an engine,
// as inspected before each is started.
type agentContainers struct {
	tap    *tap
	socket []string // arguments with which a client uses the same tap

	mu         sync.Mutex
	containers []container.InspectResponse
	errs       []error
}

func recordAgentContainers(t *testing.T, b *bench) *agentContainers {
	t.Helper()
	m := &agentContainers{}
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

// take returns the containers since the last call.
func (m *agentContainers) take(t *testing.T) []container.InspectResponse {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	assert.Check(t, is.Len(m.errs, 0))
	taken := m.containers
	m.containers, m.errs = nil, nil
	return taken
}
