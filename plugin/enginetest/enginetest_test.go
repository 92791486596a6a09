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

// versions is what a kind's name promises. The machine's own engine may be any.
var versions = map[enginetest.Kind]string{
	enginetest.Desktop:    "28.5.",
	enginetest.Engine26_1: "26.1.",
	enginetest.Engine28_5: "28.5.",
	enginetest.SSH:        "26.1.",
	enginetest.Rootless:   "20.10.",
	enginetest.Podman:     "4.3.",

	enginetest.PodmanRootless:    "4.3.",
	enginetest.Rootless28_5:      "28.5.",
	enginetest.DesktopGvproxy:    "28.5.",
	enginetest.Engine20_10_5:     "20.10.5+",
	enginetest.Engine26_1NoProxy: "26.1.",
}

// All names every kind that has a row in the table, once.
func TestAll(t *testing.T) {
	t.Parallel()
	all := map[enginetest.Kind]bool{}
	for _, kind := range enginetest.All() {
		assert.Assert(t, !all[kind], "%s is there twice", kind)
		assert.Assert(t, reachability[kind] != nil, "%s has no row", kind)
		all[kind] = true
	}
	assert.Equal(t, len(all), len(reachability))
}

// Every kind starts, answers docker's CLI from its clients' side, and is of the
// version that it says.
func TestKindsStart(t *testing.T) {
	t.Parallel()
	for kind := range reachability {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			engine := enginetest.Get(t, kind)
			out, err := engine.Command(t.Context(), "docker", "version", "--format", "{{.Server.Version}}").CombinedOutput()
			assert.NilError(t, err, "docker version: %s", out)
			assert.Equal(t, strings.TrimSpace(string(out)), engine.Version)
			assert.Assert(t, strings.HasPrefix(engine.Version, versions[kind]), "%s is at %s", kind, engine.Version)
		})
	}
}

// reachability is the table of kinds of the engines' recipes, as seen by a
// program beside the clients. ADDRESS is a remote engine's, IP the container's,
// GATEWAY its bridge's, PORT the published port, PORT6 the one of IPv6.
var reachability = map[enginetest.Kind]map[string]string{
	enginetest.Linux: {
		"127.0.0.1:PORT": "200 ok",
		"[::1]:PORT6":    "200 ok",
		"GATEWAY:PORT":   "200 ok",
		"IP:8080":        "200 ok",
	},
	enginetest.Toolbox: {
		"127.0.0.1:PORT": "refused",
		"ADDRESS:PORT":   "200 ok",
		"GATEWAY:PORT":   "unreachable",
		"IP:8080":        "unreachable",
	},
	enginetest.Desktop: {
		"127.0.0.1:PORT": "200 ok",
		"[::1]:PORT6":    "200 ok",
		"GATEWAY:PORT":   "unreachable",
		"IP:8080":        "unreachable",
	},
	enginetest.Engine26_1: {
		"127.0.0.1:PORT": "200 ok",
		"[::1]:PORT6":    "200 ok",
		"GATEWAY:PORT":   "200 ok",
		"IP:8080":        "200 ok",
	},
	enginetest.Engine28_5: {
		"127.0.0.1:PORT": "200 ok",
		"[::1]:PORT6":    "200 ok",
		"GATEWAY:PORT":   "200 ok",
		"IP:8080":        "200 ok",
	},
	enginetest.SSH: {
		"127.0.0.1:PORT": "refused",
		"ADDRESS:PORT":   "200 ok",
		"GATEWAY:PORT":   "unreachable",
		"IP:8080":        "unreachable",
	},
	enginetest.Rootless: {
		"127.0.0.1:PORT": "200 ok",
		"[::1]:PORT6":    "200 ok",
		"GATEWAY:PORT":   "unreachable",
		"IP:8080":        "unreachable",
	},
	enginetest.Dind: {
		"127.0.0.1:PORT": "refused",
		"ADDRESS:PORT":   "200 ok",
		"GATEWAY:PORT":   "unreachable",
		"IP:8080":        "unreachable",
	},
	enginetest.Podman: {
		"127.0.0.1:PORT": "200 ok",
		"[::1]:PORT":     "refused",
		"GATEWAY:PORT":   "200 ok",
		"IP:8080":        "200 ok",
	},
	enginetest.PodmanRootless: {
		"127.0.0.1:PORT": "200 ok",
		"[::1]:PORT":     "200 ok",
		"GATEWAY:PORT":   "unreachable",
		"IP:8080":        "unreachable",
	},
	enginetest.Rootless28_5: {
		"127.0.0.1:PORT": "200 ok",
		"[::1]:PORT6":    "200 ok",
		"GATEWAY:PORT":   "unreachable",
		"IP:8080":        "unreachable",
	},
	enginetest.DesktopGvproxy: {
		"127.0.0.1:PORT": "200 ok",
		"[::1]:PORT6":    "200 ok",
		"GATEWAY:PORT":   "unreachable",
		"IP:8080":        "unreachable",
	},
	enginetest.Engine20_10_5: {
		"127.0.0.1:PORT": "200 ok",
		"[::1]:PORT":     "refused",
		"GATEWAY:PORT":   "200 ok",
		"IP:8080":        "200 ok",
	},
	enginetest.Engine26_1NoProxy: {
		"127.0.0.1:PORT": "200 ok",
		"[::1]:PORT6":    "refused",
		"GATEWAY:PORT":   "200 ok",
		"IP:8080":        "200 ok",
	},
}

// fromContainer is what a container reaches. The gateway of a rootless engine is
// in a namespace of the engine's own, where Podman alone forwards ports too; they
// are on the machine's own addresses, of which this one is not a loopback address.
func fromContainer(kind enginetest.Kind) map[string]string {
	switch kind {
	case enginetest.Rootless:
		return map[string]string{"GATEWAY:PORT": "refused", "10.231.6.53:PORT": "200 ok"}
	case enginetest.Rootless28_5:
		return map[string]string{"GATEWAY:PORT": "refused", "10.231.10.53:PORT": "200 ok"}
	case enginetest.PodmanRootless:
		return map[string]string{"GATEWAY:PORT": "200 ok", "10.231.9.53:PORT": "200 ok"}
	default:
		return map[string]string{"GATEWAY:PORT": "200 ok"}
	}
}

// A published test server is reached from the clients' side as on a real engine
// of the kind, and so it is from a container.
func TestReachability(t *testing.T) {
	t.Parallel()
	program := enginetest.TestProgram(t)
	for kind, want := range reachability {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			engine := enginetest.Get(t, kind)
			ref := enginetest.TestImage(t, engine)
			server := startServer(t, engine, ref)
			for target, expected := range want {
				url := "http://" + server.expand(target) + "/"
				out, _ := engine.Command(t.Context(), program, "--get", url, "--get-until", expected).Output()
				assert.Check(t, cmp.Equal(strings.TrimSpace(string(out)), expected), "%s (%s)", target, url)
			}
			for target, expected := range fromContainer(kind) {
				url := "http://" + server.expand(target) + "/"
				_, log := runToEnd(t, engine, ref, "--get", url)
				assert.Check(t, cmp.Equal(log, expected), "container to %s (%s)", target, url)
			}
		})
	}
}

// server is a started container and what addresses are made of.
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

// runToEnd runs a container and returns its exit status and what it printed.
// It is not done by docker run --rm, which ends with 0 on Podman 4.3 whatever
// the container's status was.
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

// ports are the published ports of IPv4, or of no family in particular, and
// IPv6.
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

// The same remote engine by environment and by a docker context.
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

// A remote engine takes nobody who does not show what its clients have.
func TestStrangers(t *testing.T) {
	t.Parallel()
	for kind, withhold := range map[enginetest.Kind]string{
		enginetest.Toolbox: "DOCKER_TLS_VERIFY=",
		enginetest.SSH:     "PATH=" + os.Getenv("PATH"),
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			cmd := enginetest.Get(t, kind).Command(t.Context(), "docker", "ps")
			cmd.Env = append(cmd.Env, withhold, "HOME="+t.TempDir())
			cmd.Stdin = nil // nobody to be asked for a password
			out, err := cmd.CombinedOutput()
			assert.Assert(t, err != nil, "the engine takes strangers: %s", out)
		})
	}
}

// An image goes through the registry of every engine and comes back.
func TestRegistry(t *testing.T) {
	t.Parallel()
	for kind := range reachability {
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

// A private engine can be stopped and started; it is not the shared one.
func TestPrivateEngineRestarts(t *testing.T) {
	t.Parallel()
	for kind := range reachability {
		if kind == enginetest.Linux {
			continue // everybody's
		}
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
