//go:build linux

package plugin_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// builtPlugin builds the plugin with its agents, once, as a user does.
var builtPlugin = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("make", "-C", "..", "build")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return filepath.Abs("../bin/docker-nestprobe")
})

// installPlugin makes a docker configuration folder with the plugin in it.
func installPlugin(config string) error {
	built, err := builtPlugin()
	if err != nil {
		return err
	}
	folder := filepath.Join(config, "cli-plugins")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.Symlink(built, filepath.Join(folder, "docker-nestprobe"))
}

const scripts = "../testdata/script/*.txtar"

// TestScripts runs each script with the real docker command, on each kind of engine that
// the script's first line names. See CONTRIBUTING.md for how to run one.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(scripts)
	assert.NilError(t, err)
	byKind := map[enginetest.Kind][]string{}
	for _, file := range files {
		for _, kind := range kindsOf(t, file) {
			byKind[kind] = append(byKind[kind], file)
		}
	}
	for kind := range byKind {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			engine := enginetest.Get(t, kind)
			image := enginetest.TestImage(t, engine)
			before := labelled(t, engine)
			t.Run("scripts", func(t *testing.T) {
				for _, file := range byKind[kind] {
					t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
						t.Parallel()
						runScript(t, file, engine, image)
					})
				}
			})
			checkNothingNew(t, engine, before)
		})
	}
}

// kindsOf reads the kinds from a script's first line: `# engines: linux podman`,
// `# engines: all` for those on which most scripts run, or `# engines: every`.
func kindsOf(t *testing.T, file string) []enginetest.Kind {
	t.Helper()
	content, err := os.ReadFile(file)
	assert.NilError(t, err)
	line, _, _ := strings.Cut(string(content), "\n")
	names, ok := strings.CutPrefix(line, "# engines: ")
	assert.Assert(t, ok, "%s does not begin with `# engines: `", file)
	switch names {
	case "all":
		return enginetest.Kinds()
	case "every":
		return enginetest.All()
	}
	var kinds []enginetest.Kind
	for _, name := range strings.Fields(names) {
		assert.Assert(t, is.Contains(enginetest.All(), enginetest.Kind(name)), "in %s", file)
		kinds = append(kinds, enginetest.Kind(name))
	}
	return kinds
}

// runScript runs one script. What the script's words made is removed when it ends.
func runScript(t *testing.T, file string, engine *enginetest.Engine, image string) {
	t.Helper()
	t.Cleanup(func() { removeNamed(t, file, engine) })
	testscript.Run(t, testscript.Params{
		Files:               []string{file},
		Setup:               setup(&script{T: t, engine: engine}, image),
		Cmds:                commands(),
		Condition:           condition(engine),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// named finds the names that a script gives to containers and networks.
var named = regexp.MustCompile(`(?m) --name[ =](\S+)|docker network create .*?(\S+)$`)

// removeNamed removes what a script that has failed did not: the same names are used when
// it runs again. The last ones are removed first, as others may depend on the first ones.
func removeNamed(t *testing.T, file string, engine *enginetest.Engine) {
	t.Helper()
	if !t.Failed() {
		return
	}
	content, err := os.ReadFile(file)
	assert.Check(t, err)
	for _, match := range slices.Backward(named.FindAllStringSubmatch(string(content), -1)) {
		args := []string{"rm", "-f", match[1]}
		if network := match[2]; network != "" {
			args = []string{"network", "rm", network}
		}
		out, err := engine.Command(context.WithoutCancel(t.Context()), "docker", args...).CombinedOutput()
		t.Logf("docker %s: %s (%v)", strings.Join(args, " "), out, err) // it had removed some itself
	}
}

// script is what the commands of a running script share.
type script struct {
	*testing.T
	engine  *enginetest.Engine // the selected one
	private bool               // only this script uses it
	proven  []report.Finding   // of the report that `proves` read last
	runner  testscript.T       // the test that runs the script, below T
}

// The helpers of package enginetest end a test by these. In a script it is the one that runs
// the script, since a test can only be ended by itself.

func (s *script) Fatal(args ...any)                 { s.runner.Fatal(args...) }
func (s *script) Fatalf(format string, args ...any) { s.runner.Fatal(fmt.Sprintf(format, args...)) }
func (s *script) FailNow()                          { s.runner.FailNow() }
func (s *script) Skip(args ...any)                  { s.runner.Skip(args...) }

// scriptKey is the key of the script among the values of its environment.
type scriptKey struct{}

func scriptOf(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) }

// selectEngine sets the variables that lead a script to an engine and the test image.
func selectEngine(env interface{ Setenv(name, value string) }, engine *enginetest.Engine, image string) {
	for _, variable := range engine.Env() {
		name, value, _ := strings.Cut(variable, "=")
		env.Setenv(name, value)
	}
	env.Setenv("CERTS", engine.CertDir)
	env.Setenv("SOCKET", engine.Socket)
	env.Setenv("NETNS", engine.Netns)
	env.Setenv("IMAGE", image)
}

// setup gives a script the plugin, the engine and the test image.
func setup(s *script, image string) func(*testscript.Env) error {
	return func(env *testscript.Env) error {
		env.Values[scriptKey{}], s.runner = s, env.T()
		config := filepath.Join(env.WorkDir, ".docker")
		agents, err := filepath.Abs("../bin/agents")
		if err != nil {
			return err
		}
		env.Vars = slices.DeleteFunc(env.Vars, func(v string) bool { return strings.HasPrefix(v, "DOCKER_") })
		selectEngine(env, s.engine, image)
		env.Setenv("HOME", env.WorkDir)
		env.Setenv("DOCKER_CONFIG", config)
		env.Setenv("PLUGIN", filepath.Join(config, "cli-plugins", "docker-nestprobe"))
		env.Setenv("KIND", string(s.engine.Kind))
		env.Setenv("PORTS", strconv.Itoa(1740+slices.Index(enginetest.All(), s.engine.Kind)))
		env.Setenv("AGENTS", agents)
		return installPlugin(config)
	}
}

// condition evaluates what a line of a script may begin with to apply only to some kinds:
// [kind:linux], [podman] for every kind of Podman, or [root]; and with ! not to these.
func condition(engine *enginetest.Engine) func(string) (bool, error) {
	return func(text string) (bool, error) {
		switch text {
		case "podman":
			return strings.HasPrefix(string(engine.Kind), "podman"), nil
		case "root":
			return os.Getuid() == 0, nil
		}
		name, ok := strings.CutPrefix(text, "kind:")
		if !ok || !slices.Contains(enginetest.All(), enginetest.Kind(name)) {
			return false, fmt.Errorf("there is no kind of engine for the condition [%s]", text)
		}
		return engine.Kind == enginetest.Kind(name), nil
	}
}

// commands are the words that scripts can use besides testscript's own. What each
// does is at its function: in script_commands_test.go for general words, in
// script_engine_test.go and script_endpoint_test.go for those that give a script
// another engine or endpoint, in script_network_test.go for those that change an
// engine's network.
func commands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"client":     runAsClient,
		"inside":     runInside,
		"answers":    requestFrom,
		"eventually": repeatUntilSuccess,
		"exits":      checkExitStatus,
		"remove":     removeContainers,
		"told":       runRemoveCommand,
		"last":       checkLastLines,
		"width":      checkWidth,
		"quiet":      checkQuiet,
		"proves":     checkCause,
		"follow":     followCommands,
		"fixed":      checkFixed,
		"noerrors":   checkNoErrors,
		"healthy":    checkHealthy,
		"compare":    compareRows,
		"transcript": checkTranscript,

		"private":  selectPrivateEngine,
		"recorded": selectRecordedEngine,
		"context":  createContext,
		"registry": pushToRegistry,
		"dind":     provideDindImage,
		"cli":      provideCLIImage,

		"pluginimage": loadPluginImage,
		"pod":         createPod,

		"tlsfront":    selectTLSEndpoint,
		"loopback":    openLoopbackEndpoint,
		"squatter":    openSquattedEndpoint,
		"front":       selectFront,
		"certificate": makeCertificate,

		"rule":   addRule,
		"route":  addRoute,
		"link":   addLink,
		"server": startServer,
	}
}
