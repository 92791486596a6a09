package endpoint

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/cli/cli/context/docker"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
)

// sshServer is a real sshd on loopback with new keys.
type sshServer struct {
	host string // ssh://USER@127.0.0.1:PORT
	path string // for PATH: an ssh that uses the test's keys and no file of the user
}

// startSSH runs sshd until the test ends. Remote commands get environ in addition to
// sshd's own environment.
func startSSH(t *testing.T, environ string) sshServer {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves out what needs an ssh server")
	}
	const sshd = "/usr/sbin/sshd"
	if _, err := os.Stat(sshd); err != nil {
		t.Fatalf("%v: this test needs an ssh server, which go run ./plugin/enginetest/keeper install brings", err)
	}
	dir := endpointtest.OpenFolder(t)
	// sshd insists on this folder, which Debian's service file makes.
	made := os.Mkdir("/run/sshd", 0o755)
	if made == nil {
		t.Cleanup(func() { _ = os.Remove("/run/sshd") })
	}
	for _, name := range []string{"host", "user"} {
		out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)).CombinedOutput()
		assert.NilError(t, err, "%s", out)
	}
	_, port, err := net.SplitHostPort(endpointtest.ClosedPort(t))
	assert.NilError(t, err)
	config := fmt.Sprintf(`ListenAddress 127.0.0.1:%[2]s
HostKey %[1]s/host
AuthorizedKeysFile %[1]s/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
%[3]s
`, dir, port, environ)
	endpointtest.Write(t, filepath.Join(dir, "sshd_config"), []byte(config))
	cmd := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
	var log strings.Builder
	cmd.Stderr = &log
	assert.NilError(t, cmd.Start())
	t.Cleanup(func() {
		assert.NilError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	awaitPort(t, "127.0.0.1:"+port)
	wrapper := fmt.Sprintf("#!/bin/sh\nexec /usr/bin/ssh -F none -i %[1]s/user -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no "+
		"-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \"$@\"\n", dir)
	bin := filepath.Join(dir, "bin")
	script(t, filepath.Join(bin, "ssh"), wrapper)
	return sshServer{"ssh://root@127.0.0.1:" + port, bin + ":" + os.Getenv("PATH")}
}

func script(t *testing.T, path, text string) {
	t.Helper()
	endpointtest.Write(t, path, []byte(text))
	assert.NilError(t, os.Chmod(path, 0o755))
}

// awaitPort returns when a server listens at an address.
func awaitPort(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // only guards against hanging
	defer cancel()
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			assert.NilError(t, conn.Close())
			return
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

func TestSSH(t *testing.T) {
	t.Parallel()
	enginetest.NeedRoot(t)
	server := startSSH(t, "")
	broken := startSSH(t, "SetEnv DOCKER_HOST=unix:///nonexistent/docker.sock")
	bare := startSSH(t, "SetEnv PATH=/nonexistent")
	noisy := startSSH(t, `ForceCommand echo "welcome to this machine, have a good day"; sleep 1`)
	refused := "ssh://root@" + endpointtest.ClosedPort(t)
	for name, test := range map[string]struct {
		host     string
		path     string
		sentence string
		evidence []string
	}{
		"works":                 {server.host, server.path, "", nil},
		"a path in the address": {server.host + endpointtest.EngineSocket(t), server.path, "", nil},
		"refused": {refused, server.path, "ssh to " + refused + " did not succeed (ssh: connect to host 127.0.0.1 port ",
			[]string{"ssh: ssh: connect to host 127.0.0.1", "ssh's exit status: 255"}},
		"another user's key": {server.host, sshScript(t, "exec /usr/bin/ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i /nonexistent \"$@\""),
			"Permission denied (publickey)", []string{"exit status: 255"}},
		"unknown host key": {server.host, sshScript(t, "exec /usr/bin/ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/dev/null \"$@\""),
			"Host key verification failed", []string{"exit status: 255"}},
		"no docker there": {bare.host, bare.path, "docker is not found on the other side of " + bare.host, []string{"ssh's exit status: 127"}},
		"no engine there": {broken.host, broken.path, "docker on the other side of " + broken.host + " did not reach its engine",
			[]string{"/nonexistent/docker.sock", "exit status: 1"}},
		"a talkative shell": {noisy.host, noisy.path, "is not an engine's answer", nil},
		"escapes in stderr": {server.host, sshScript(t, `printf 'evil \033[2J \r\nlast \007line\n' >&2; exit 255`), `(last \x07line)`, []string{`ssh: evil \x1b[2J`}},
		"no ssh":            {server.host, "/nonexistent", "the program ssh, which the endpoint needs, could not be started", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := environment{"DOCKER_HOST": test.host, "PATH": test.path}
			got := endpointtest.InChild(t, env, nil)
			if test.sentence != "" {
				endpointtest.WantFault(t, got.Fault(), connection.EngineUnreachable, test.sentence, test.evidence...)
				return
			}
			assert.Equal(t, got.Error, "")
			assert.Equal(t, got.Described.Transport, "ssh")
			assert.Equal(t, got.Described.Host, test.host)
			out, err := runDocker(t, env, "version", "--format", "{{.Server.Version}}")
			assert.NilError(t, err, out)
			assert.Equal(t, got.Described.Engine.Version, out)
		})
	}
}

// sshScript is a PATH with an ssh that the test writes.
func sshScript(t *testing.T, text string) string {
	t.Helper()
	bin := endpointtest.OpenFolder(t)
	script(t, filepath.Join(bin, "ssh"), "#!/bin/sh\n"+text+"\n")
	return bin + ":" + os.Getenv("PATH")
}

// TestSSHCommands quotes the parts of an address.
func TestSSHCommands(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"ssh://me@far.example:2222":    "ssh -l me -p 2222 -- far.example 'docker version'",
		"ssh://far.example":            "ssh -- far.example 'docker version'",
		"ssh://a%3Btouch%20x@far":      "ssh -l 'a;touch x' -- far 'docker version'",
		"ssh://-oProxyCommand=x@far":   "",
		"ssh://a%0Ab@far":              "",
		"ssh://me:secret@far.example/": "",
	} {
		assert.Equal(t, strings.Join(sshCommands(host), ";"), want)
	}
}

// TestSSHCancelled cancels while ssh waits for the other side.
func TestSSHCancelled(t *testing.T) {
	t.Setenv("PATH", sshScript(t, "exec sleep 60"))
	e, err := newEndpoint(docker.Endpoint{EndpointMeta: docker.EndpointMeta{Host: "ssh://127.0.0.1"}}, nil, origin{context: "test"})
	assert.NilError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	start := time.Now()
	_, err = e.Connect(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Assert(t, time.Since(start) < 30*time.Second, "cancelling did not end ssh")
}
