package connection

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/process"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// asInContainer starts a child with a hostname file mounted, as engines start a
// container.
func asInContainer(t *testing.T, before ...string) func(*exec.Cmd) {
	t.Helper()
	hostname := filepath.Join(t.TempDir(), "hostname")
	endpointtest.Write(t, hostname, []byte("container\n"))
	unshare, err := exec.LookPath("unshare")
	assert.NilError(t, err)
	return func(cmd *exec.Cmd) {
		own := slices.Concat(before, []string{cmd.Path}, cmd.Args[1:])
		cmd.Path = unshare
		cmd.Args = append([]string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/hostname && exec "$@"`, hostname}, own...)
		cmd.Dir = "/"
	}
}

// TestInContainer expects hints that fit a container.
func TestInContainer(t *testing.T) {
	t.Parallel()
	enginetest.NeedRoot(t)
	assert.Assert(t, !process.InContainer(), "the tests run outside of containers")
	dir := endpointtest.OpenFolder(t)
	grouped := filepath.Join(dir, "grouped.sock")
	ownSocket(t, grouped, 0o660, 54321)
	self := copySelf(t, dir)
	for name, test := range map[string]struct {
		path     string
		before   []string
		cause    report.Cause
		sentence string
		evidence string
		command  string
	}{
		"no socket": {"/nonexistent/docker.sock", nil, DockerSocketMissing,
			"start this container with the engine's socket mounted", "this process runs in a container",
			"docker run -v /var/run/docker.sock:/nonexistent/docker.sock ..."},
		"no permission": {grouped, []string{"setpriv", "--reuid=65534", "--clear-groups", self}, DockerSocketPerm,
			"with the socket's group added", "mode Srw-rw----, owner 0 (root), group 54321",
			"docker run --group-add 54321 ..."},
		"no ids": {grouped, []string{"setpriv", "--reuid=65534", "--clear-groups", "unshare", "--user", self}, DockerSocketPerm,
			"in the engine's own user namespace", "/proc/self/gid_map does not hold all ids",
			"docker run --userns=host ..."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := connectInChild(t, unixSettings(test.path), nil, asInContainer(t, test.before...))
			endpointtest.WantFault(t, got.Fault(), test.cause, test.sentence, test.evidence)
			assert.Equal(t, strings.Join(got.Finding.Commands, ";"), test.command)
		})
	}
}

// TestFilesInContainer suggests mounting the TLS files.
func TestFilesInContainer(t *testing.T) {
	t.Parallel()
	enginetest.NeedRoot(t)
	env := environment{"DOCKER_CERT_PATH": "/nonexistent/certs"}
	got := endpointtest.InChild(t, env, asInContainer(t), readFile, "/nonexistent/certs/ca.pem")
	assert.Assert(t, got.Finding != nil, got.Error)
	assert.Equal(t, got.Finding.Cause, TLSCertPathMissing)
	assert.Assert(t, strings.Contains(got.Error, "/nonexistent/certs, does not exist: mount the folder"), got.Error)
	assert.Assert(t, strings.Contains(strings.Join(got.Finding.Evidence, "\n"), "which has its own files"), "%q", got.Finding.Evidence)
	assert.DeepEqual(t, got.Finding.Commands, []string{"docker run -v /nonexistent/certs:/nonexistent/certs:ro ..."})
}
