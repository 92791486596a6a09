package enginetest_test

import (
	"context"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/docker/go-connections/nat"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// Every kind says which addresses reach a server on it, and has one recipe.
func TestEveryKindHasOneRecipe(t *testing.T) {
	t.Parallel()
	seen := map[enginetest.Kind]bool{}
	for _, about := range enginetest.About() {
		assert.Assert(t, !seen[about.Kind], "%s has two recipes", about.Kind)
		assert.Assert(t, len(about.Reach.Clients) > 0 && len(about.Reach.Containers) > 0, "%s does not say which addresses reach a server", about.Kind)
		seen[about.Kind] = true
	}
	for _, kind := range enginetest.Kinds() {
		assert.Assert(t, seen[kind], "%s has no recipe", kind)
	}
}

// Every kind starts, answers docker's CLI where its clients are, and has the version
// of its recipe.
func TestKindsStart(t *testing.T) {
	t.Parallel()
	for _, about := range enginetest.About() {
		t.Run(string(about.Kind), func(t *testing.T) {
			t.Parallel()
			engine := enginetest.Get(t, about.Kind)
			out, err := engine.Command(t.Context(), "docker", "version", "--format", "{{.Server.Version}}").CombinedOutput()
			assert.NilError(t, err, "docker version: %s", out)
			assert.Equal(t, strings.TrimSpace(string(out)), engine.Version)
			assert.Assert(t, strings.HasPrefix(engine.Version, about.Version), "%s is at %s", about.Kind, engine.Version)
		})
	}
}

// A published test server is reached at the addresses that the kind's recipe names,
// by the engine's clients and from a container.
func TestReachability(t *testing.T) {
	t.Parallel()
	program := enginetest.TestProgram(t)
	for _, about := range enginetest.About() {
		t.Run(string(about.Kind), func(t *testing.T) {
			t.Parallel()
			engine := enginetest.Get(t, about.Kind)
			ref := enginetest.TestImage(t, engine)
			server := startServer(t, engine, ref)
			for target, expected := range about.Reach.Clients {
				url := "http://" + server.expand(target) + "/"
				out, _ := engine.Command(t.Context(), program, "--get", url, "--get-until", expected).Output()
				assert.Check(t, cmp.Equal(strings.TrimSpace(string(out)), expected), "%s (%s)", target, url)
			}
			for target, expected := range about.Reach.Containers {
				url := "http://" + server.expand(target) + "/"
				_, log := runToEnd(t, engine, ref, "--get", url)
				assert.Check(t, cmp.Equal(log, expected), "container to %s (%s)", target, url)
			}
		})
	}
}

// server is a started container and the parts of its addresses.
type server struct {
	id       string
	replacer *strings.Replacer
}

func (s server) expand(target string) string { return s.replacer.Replace(target) }

func startServer(t *testing.T, engine *enginetest.Engine, ref string) server {
	t.Helper()
	api := engine.Client(t)
	id := start(t, api, &container.Config{Image: ref}, &container.HostConfig{PortBindings: nat.PortMap{"8080/tcp": {{}}}})
	inspected, err := api.ContainerInspect(t.Context(), id)
	assert.NilError(t, err)
	var ip, gateway string
	for _, network := range inspected.NetworkSettings.Networks {
		ip, gateway = network.IPAddress, network.Gateway
	}
	port, port6 := ports(t, inspected.NetworkSettings.Ports["8080/tcp"])
	return server{id, strings.NewReplacer(
		"ADDRESS", engine.Address, "GATEWAY", gateway, "IP", ip, "PORT6", port6, "PORT", port)}
}

func start(t *testing.T, api client.APIClient, config *container.Config, host *container.HostConfig) string {
	t.Helper()
	created, err := api.ContainerCreate(t.Context(), config, host, nil, nil, "")
	assert.NilError(t, err)
	t.Cleanup(func() {
		// The test's own context has ended by now.
		err := api.ContainerRemove(context.WithoutCancel(t.Context()), created.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
		assert.Check(t, err)
	})
	assert.NilError(t, api.ContainerStart(t.Context(), created.ID, container.StartOptions{}))
	return created.ID
}

// runToEnd runs a container and returns its exit status and what it printed. docker
// run --rm would not do: on Podman 4.3 it always ends with status 0.
func runToEnd(t *testing.T, engine *enginetest.Engine, ref string, args ...string) (status int64, log string) {
	t.Helper()
	api := engine.Client(t)
	id := start(t, api, &container.Config{Image: ref, Cmd: args}, nil)
	waited, failed := api.ContainerWait(t.Context(), id, container.WaitConditionNotRunning)
	select {
	case response := <-waited:
		status = response.StatusCode
	case err := <-failed:
		assert.NilError(t, err)
	}
	logs, err := api.ContainerLogs(t.Context(), id, container.LogsOptions{ShowStdout: true, ShowStderr: true})
	assert.NilError(t, err)
	defer logs.Close() //nolint:errcheck // read to its end
	var out strings.Builder
	_, err = stdcopy.StdCopy(&out, &out, logs)
	assert.NilError(t, err)
	return status, strings.TrimSpace(out.String())
}

// ports returns the published ports for IPv4, or for both families, and for IPv6.
func ports(t *testing.T, bindings []nat.PortBinding) (port, port6 string) {
	t.Helper()
	for _, binding := range bindings {
		_, err := strconv.ParseUint(binding.HostPort, 10, 16)
		assert.NilError(t, err)
		if addr, err := netip.ParseAddr(binding.HostIP); err == nil && addr.Is6() {
			port6 = binding.HostPort
			continue
		}
		port = binding.HostPort
	}
	assert.Assert(t, port != "", "no published port in %v", bindings)
	return port, port6
}

// The environment and a docker context lead to the same remote engine.
func TestContext(t *testing.T) {
	t.Parallel()
	for _, kind := range []enginetest.Kind{enginetest.Toolbox, enginetest.SSH} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			engine := enginetest.Get(t, kind)
			config := t.TempDir()
			engine.CreateContext(t, config, "remote")
			cmd := engine.Command(t.Context(), "docker", "--context", "remote", "info", "--format", "{{.ID}}")
			cmd.Env = engine.ContextEnviron(config)
			byContext, err := cmd.CombinedOutput()
			assert.NilError(t, err, "%s", byContext)
			byEnv, err := engine.Command(t.Context(), "docker", "info", "--format", "{{.ID}}").CombinedOutput()
			assert.NilError(t, err, "%s", byEnv)
			assert.Equal(t, string(byContext), string(byEnv))
			info, err := engine.Client(t).Info(t.Context())
			assert.NilError(t, err)
			assert.Equal(t, strings.TrimSpace(string(byEnv)), info.ID)
		})
	}
}

// A remote engine refuses clients without a certificate or a key.
func TestRemoteEngineRefusesUnknownClients(t *testing.T) {
	t.Parallel()
	for kind, withhold := range map[enginetest.Kind]string{
		enginetest.Toolbox: "DOCKER_TLS_VERIFY=",
		enginetest.SSH:     "PATH=" + os.Getenv("PATH"),
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			cmd := enginetest.Get(t, kind).Command(t.Context(), "docker", "ps")
			cmd.Env = append(cmd.Env, withhold, "HOME="+t.TempDir())
			cmd.Stdin = nil // no terminal for a password prompt
			out, err := cmd.CombinedOutput()
			assert.Assert(t, err != nil, "the engine accepts any client: %s", out)
		})
	}
}

// An image can be pushed to the registry of an engine, and pulled from it.
func TestRegistry(t *testing.T) {
	t.Parallel()
	for _, kind := range []enginetest.Kind{enginetest.Linux, enginetest.Toolbox, enginetest.Podman} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			engine := enginetest.Get(t, kind)
			registry := engine.Registry(t)
			pushed := registry.Push(t, enginetest.TestImage(t, engine), "tests/server:1")
			out, err := engine.Command(t.Context(), "docker", "image", "inspect", pushed).CombinedOutput()
			assert.Assert(t, err != nil, "the image is still there: %s", out)
			out, err = engine.Command(t.Context(), "docker", "pull", pushed).CombinedOutput()
			assert.NilError(t, err, "%s", out)
			status, log := runToEnd(t, engine, pushed, "--exit-code", "7")
			assert.Equal(t, status, int64(7), log)
			_, err = engine.Client(t).ImageRemove(t.Context(), pushed, image.RemoveOptions{})
			assert.NilError(t, err)
		})
	}
}

// A private engine is not the shared one, and can be stopped and started.
func TestPrivateEngineRestarts(t *testing.T) {
	t.Parallel()
	for _, kind := range []enginetest.Kind{enginetest.Toolbox, enginetest.Rootless, enginetest.Podman} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			engine := enginetest.StartPrivate(t, kind)
			assert.Assert(t, engine.Host != enginetest.Get(t, kind).Host)
			ref := enginetest.TestImage(t, engine)
			engine.Stop(t)
			_, err := engine.Client(t).Ping(t.Context())
			assert.Assert(t, err != nil, "a stopped engine answers")
			engine.Start(t)
			_, err = engine.Client(t).ImageInspect(t.Context(), ref)
			assert.NilError(t, err, "the image did not survive the restart")
		})
	}
}
