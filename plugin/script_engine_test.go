//go:build linux

package plugin_test

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"

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
