//go:build linux

package plugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// Words of scripts that select another engine or put something on the selected one.

// selectPrivateEngine selects an engine of the same kind that no other test uses, and
// puts the test image there: `private`, or with more arguments of dockerd `private ARG…`. It is for what other tests must not see, and
// for servers that must never be reached: while an engine sets up a network, it was
// seen to let packets through between others (Docker 20.10, Podman 4.3).
func selectPrivateEngine(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	s.engine, s.private = enginetest.StartPrivate(s, s.engine.Kind, args...), true
	selectEngine(ts, s.engine, enginetest.TestImage(s, s.engine))
}

// selectRecordedEngine selects an engine that answers with the files in a folder, for
// engines that the tests cannot start: `recorded FOLDER`.
func selectRecordedEngine(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv("DOCKER_HOST", startRecorded(scriptOf(ts), ts.MkAbs(args[0])))
}

// createContext makes a docker context for the engine: `context NAME`.
func createContext(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	s.engine.CreateContext(s, ts.Getenv("DOCKER_CONFIG"), args[0])
}

// pushToRegistry pushes an image to a registry and puts its reference there into a
// variable: `registry VARIABLE SOURCE REPOSITORY`.
func pushToRegistry(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	ts.Setenv(args[0], s.engine.Registry(s).Push(s, args[1], args[2]))
}

// provideDindImage puts the reference of an image of a nested engine into a variable:
// `dind VARIABLE`.
func provideDindImage(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	ts.Setenv(args[0], enginetest.DindImage(s, s.engine))
}

// provideCLIImage puts the reference of an image with the docker command, the plugin and
// the test server into a variable: `cli VARIABLE`. A container of it does nothing, so that
// `inside` and `answers` can run commands in it.
func provideCLIImage(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	plugin, err := builtPlugin()
	ts.Check(err)
	ts.Setenv(args[0], enginetest.CLIImage(s, s.engine, plugin))
}

// loadPluginImage makes the image of the plugin as `make image` does, loads it with the
// docker command, and puts its reference into a variable, and the path of its archive for
// several platforms into another one: `pluginimage VARIABLE OCI-VARIABLE`.
func loadPluginImage(ts *testscript.TestScript, _ bool, args []string) {
	const tag = "nestprobe-test:plugin"
	s, out := scriptOf(ts), ts.MkAbs("nestprobe-image")
	plugin, err := builtPlugin()
	ts.Check(err)
	made, err := exec.CommandContext(s.Context(), "go", "run", "./engine/agentimage/pluginimage", "-tag", tag, "-out", out, plugin).CombinedOutput()
	if err != nil {
		ts.Fatalf("%v: %s", err, made)
	}
	ts.Check(execute(ts, []string{"docker", "load", "--input", fmt.Sprintf("%s-linux-%s.tar", out, runtime.GOARCH)}))
	ts.Defer(func() { _ = s.engine.Command(context.Background(), "docker", "rmi", tag).Run() })
	ts.Setenv(args[0], tag)
	ts.Setenv(args[1], out+".oci.tar")
}

// createPod makes a pod of Podman, which publishes port 8080 at a port of the host, and starts
// the test server in it: `pod POD CONTAINER PORT`. Docker's API has no pods.
func createPod(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	port, err := strconv.Atoi(args[2])
	ts.Check(err)
	callPodman(ts, "pods/create", map[string]any{
		"name": args[0], "portmappings": []any{map[string]any{"container_port": 8080, "host_port": port}},
	})
	callPodman(ts, "containers/create", map[string]any{"name": args[1], "pod": args[0], "image": ts.Getenv("IMAGE")})
	ts.Defer(func() {
		if err := s.engine.Client(s).ContainerRemove(context.Background(), args[1], container.RemoveOptions{Force: true}); !errdefs.IsNotFound(err) {
			ts.Check(err)
		}
	})
	ts.Check(execute(ts, []string{"docker", "start", args[1]}))
}

// callPodman posts to Podman's own API, at the socket of Docker's.
func callPodman(ts *testscript.TestScript, path string, body any) {
	s := scriptOf(ts)
	data, err := json.Marshal(body)
	ts.Check(err)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.engine.Socket)
	}
	podman := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(s.Context(), http.MethodPost, "http://podman/v4.0.0/libpod/"+path, bytes.NewReader(data))
	ts.Check(err)
	request.Header.Set("Content-Type", "application/json")
	response, err := podman.Do(request)
	ts.Check(err)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	ts.Check(err)
	if response.StatusCode != http.StatusCreated {
		ts.Fatalf("POST libpod/%s: %s: %s", path, response.Status, answer)
	}
}
