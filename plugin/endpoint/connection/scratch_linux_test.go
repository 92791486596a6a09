package connection

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/docker/docker/pkg/jsonmessage"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

const clientPackage = "github.com/nestprobe/docker-nestprobe/plugin/enginetest/containerclient"

// buildClient builds the program that opens the API in a container, as the agent does.
func buildClient(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "containerclient")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, clientPackage)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	out, err := cmd.CombinedOutput()
	assert.NilError(t, err, "%s", out)
	binary, err := os.ReadFile(path)
	assert.NilError(t, err)
	return binary
}

// containers runs the client in containers FROM scratch on an engine.
type containers struct {
	engine *enginetest.Engine
	image  string
}

// loadClient loads the client's image into an engine. By the label, the keeper
// removes it from this machine's engine even if this process is killed.
func loadClient(t *testing.T, engine *enginetest.Engine, binary []byte) containers {
	t.Helper()
	archive := agentimage.Archive{
		Tag:        "nestprobe-endpoint-client:" + strings.ToLower(strings.ReplaceAll(t.Name(), "/", ".")),
		Binary:     binary,
		BinaryName: "containerclient",
		OS:         "linux",
		Arch:       runtime.GOARCH,
		Labels:     map[string]string{enginetest.Label: "endpoint-client"},
	}
	var content bytes.Buffer
	_, err := archive.WriteTo(&content)
	assert.NilError(t, err)
	response, err := engine.Client(t).ImageLoad(t.Context(), &content)
	assert.NilError(t, err)
	assert.NilError(t, jsonmessage.DisplayJSONMessagesStream(response.Body, io.Discard, 0, false, nil))
	assert.NilError(t, response.Body.Close())
	return containers{engine, archive.Tag}
}

// open carries the settings into a container, where the client opens them. The
// options are those of docker run.
func (c containers) open(t *testing.T, settings Settings, options ...string) endpointtest.Outcome {
	t.Helper()
	all := append([]string{"run", "--rm", "--interactive"}, options...)
	cmd := c.engine.Command(t.Context(), "docker", append(all, c.image)...)
	cmd.Stdin = bytes.NewReader(carry(t, settings))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	assert.NilError(t, err, "%s", stderr.String())
	assert.Equal(t, stderr.String(), "")
	var result endpointtest.Outcome
	assert.NilError(t, json.Unmarshal(out, &result), "%s", out)
	return result
}

// usualSocket is where a container is given the engine's socket.
func usualSocket() Settings { return unixSettings("/var/run/docker.sock") }

func wantCommands(t *testing.T, got endpointtest.Outcome, commands ...string) {
	t.Helper()
	assert.Assert(t, got.Finding != nil, got.Error)
	assert.DeepEqual(t, got.Finding.Commands, commands)
}

// TestScratch runs on engines that are reached in different ways: a
// client in a container without the socket, with the socket but without the right
// to open it, and with both.
func TestScratch(t *testing.T) {
	t.Parallel()
	binary := buildClient(t)
	for _, kind := range []enginetest.Kind{enginetest.Linux, enginetest.Toolbox, enginetest.Rootless, enginetest.Podman} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			engine := enginetest.Get(t, kind)
			client := loadClient(t, engine, binary)
			got := client.open(t, usualSocket())
			endpointtest.WantFault(t, got.Fault(), DockerSocketMissing, "there is no Docker socket at /var/run/docker.sock: start this container with the engine's socket mounted",
				`unix:///var/run/docker.sock, from context "test"`, "no file: /var/run/docker.sock", "this process runs in a container", "DOCKER_HOST is not set in its environment")
			wantCommands(t, got, "docker run -v /var/run/docker.sock:/var/run/docker.sock ...")
			if engine.Socket != "" {
				testSocket(t, client)
			}
		})
	}
}

// testSocket mounts the engine's socket, and follows the hint of the finding.
func testSocket(t *testing.T, client containers) {
	t.Helper()
	info, err := os.Stat(client.engine.Socket)
	assert.NilError(t, err)
	group := info.Sys().(*syscall.Stat_t).Gid
	if client.engine.Kind == enginetest.Rootless {
		group = 0 // the group of its user, in its user namespace
	}
	mount := []string{"-v", client.engine.Socket + ":/var/run/docker.sock"}
	user := append([]string{"--user", "1234:4321"}, mount...)

	got := client.open(t, usualSocket(), mount...)
	assert.Equal(t, got.Error, "")
	assert.Equal(t, got.Described.Engine.Version, client.engine.Version)
	assert.Equal(t, got.Endpoint, endpointtest.Endpoint{Context: "test", Host: "unix:///var/run/docker.sock", Transport: "unix"})

	got = client.open(t, usualSocket(), user...)
	endpointtest.WantFault(t, got.Fault(), DockerSocketPerm, "this user may not open the Docker socket /var/run/docker.sock",
		"file: /var/run/docker.sock, mode "+info.Mode().String(), fmt.Sprintf("owner 0, group %d", group), "process: uid 1234, gids 4321")
	assert.Equal(t, len(got.Finding.Commands), 1, "%q", got.Finding.Commands)
	advice := strings.Fields(strings.TrimSuffix(strings.TrimPrefix(got.Finding.Commands[0], "docker run "), " ..."))
	assert.Equal(t, len(advice), 2, "%q", advice)
	got = client.open(t, usualSocket(), append(user, advice...)...)
	assert.Equal(t, got.Error, "", "the advice %q does not help", advice)
}

// TestScratchMounts gives a container sockets and folders that do not work.
func TestScratchMounts(t *testing.T) {
	t.Parallel()
	enginetest.NeedRoot(t)
	client := loadClient(t, enginetest.Get(t, enginetest.Linux), buildClient(t))
	const usual = "/var/run/docker.sock"
	absent := filepath.Join(t.TempDir(), "not on this engine")
	dir := endpointtest.OpenFolder(t)
	sockets := map[string]string{}
	for name, mode := range map[string]os.FileMode{"root's group": 0o660, "root only": 0o600, "no user": 0} {
		sockets[name] = filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		ownSocket(t, sockets[name], mode, 0)
	}
	user := func(socket string) []string {
		return []string{"--user", "1234:4321", "-v", sockets[socket] + ":/var/run/docker.sock"}
	}
	for name, test := range map[string]struct {
		socket   string
		options  []string
		cause    report.Cause
		sentence string
		evidence []string
		commands []string
	}{
		"a folder": {
			usual, []string{"-v", absent + "/docker.sock:/var/run/docker.sock"}, SocketPathNotOnEngine,
			"/var/run/docker.sock is a folder, not the Docker socket: mount the path that the socket has on the engine's host",
			[]string{"mode drwxr-xr-x", "mounted there: ", "/not on this engine/docker.sock of ", "this process runs in a container"},
			[]string{"docker run -v /var/run/docker.sock:/var/run/docker.sock ..."},
		},
		"another path": {
			"/run/other.sock", []string{"-e", "DOCKER_HOST=unix:///run/other.sock"}, DockerSocketMissing,
			"no Docker socket at /run/other.sock", []string{`unix:///run/other.sock, from context "test"`, "DOCKER_HOST=unix:///run/other.sock"},
			[]string{"docker run -v /var/run/docker.sock:/run/other.sock ..."},
		},
		"a socket of root's group": {
			usual, user("root's group"), DockerSocketPerm, "with the socket's group added",
			[]string{"mode Srw-rw----, owner 0, group 0", "process: uid 1234, gids 4321"}, []string{"docker run --group-add 0 ..."},
		},
		"a socket of root": {
			usual, user("root only"), DockerSocketPerm, "with the socket's owner as its user",
			[]string{"mode Srw-------"}, []string{"docker run --user 0 ..."},
		},
		"a socket without permissions": {
			usual, user("no user"), DockerSocketPerm, "get access from its owner", []string{"mode S---------"}, []string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := client.open(t, unixSettings(test.socket), test.options...)
			endpointtest.WantFault(t, got.Fault(), test.cause, test.sentence, test.evidence...)
			wantCommands(t, got, test.commands...)
		})
	}
}

// TestScratchLoopback has endpoints at loopback addresses, in containers with their own
// network, with that of the engine's host, and with that of another container.
func TestScratchLoopback(t *testing.T) {
	t.Parallel()
	engine := enginetest.Get(t, enginetest.Linux)
	client := loadClient(t, engine, buildClient(t))
	for _, host := range []string{"tcp://localhost:2375", "tcp://127.0.0.1:2375", "tcp://127.9.9.9:2375", "tcp://[::1]:2375", "tcp://0.0.0.0:2375"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			got := client.open(t, NewSettings("test", host))
			endpointtest.WantFault(t, got.Fault(), EndpointIsLoopback, host+" leads this container to itself, and no engine listens there",
				"phase reached: connect", "connect to ", "this process runs in a container", "interfaces: lo eth0")
			wantCommands(t, got, "docker run -v /var/run/docker.sock:/var/run/docker.sock ...")
		})
	}
	t.Run("network of the host", func(t *testing.T) {
		t.Parallel()
		got := client.open(t, tcpSettings(endpointtest.ClosedPort(t), nil), "--network", "host")
		endpointtest.WantFault(t, got.Fault(), EngineUnreachable, "refused, nothing listens there")
	})
	t.Run("an engine on the host", func(t *testing.T) {
		t.Parallel()
		got := client.open(t, tcpSettings(serveEngine(t, nil), nil), "--network", "host")
		assert.Equal(t, got.Error, "")
		assert.Equal(t, got.Described.Engine.Version, engine.Version)
	})
	t.Run("another server", func(t *testing.T) {
		t.Parallel()
		start := engine.Command(t.Context(), "docker", "run", "--detach", enginetest.TestImage(t, engine))
		id, err := start.Output()
		assert.NilError(t, err)
		server := strings.TrimSpace(string(id))
		t.Cleanup(func() { removeContainer(t, engine, server) })
		got := client.open(t, tcpSettings("localhost:8080", nil), "--network", "container:"+server)
		endpointtest.WantFault(t, got.Fault(), EngineUnreachable, "is not a Docker engine", "this container has reached itself")
	})
}

func removeContainer(t *testing.T, engine *enginetest.Engine, id string) {
	t.Helper()
	// The context of the test has ended.
	out, err := engine.Command(context.WithoutCancel(t.Context()), "docker", "rm", "--force", id).CombinedOutput()
	assert.NilError(t, err, "%s", out)
}

// TestScratchCarried gives a container the user's endpoint, TLS material included,
// over its stdin, and nothing else (experiment 2B).
func TestScratchCarried(t *testing.T) {
	t.Parallel()
	engine := enginetest.Get(t, enginetest.Toolbox)
	client := loadClient(t, engine, buildClient(t))
	settings := NewSettings("toolbox", engine.Host, WithTLS(readFolder(t, engine.CertDir)))
	_, err := settings.CarryIntoContainer()
	assert.NilError(t, err)
	got := client.open(t, settings)
	assert.Equal(t, got.Error, "")
	assert.Equal(t, got.Endpoint, endpointtest.Endpoint{Context: "toolbox", Host: engine.Host, Transport: "tcp", TLS: true})
	assert.Equal(t, got.Described.Engine.Version, engine.Version)
}
