//go:build linux

package plugin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/rogpeppe/go-internal/testscript"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
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

// TestScripts runs each script on each kind of engine that it names in its
// first line, through the real docker command. See CONTRIBUTING.md for how to
// run one.
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

// runScript runs one script. What it makes with its test goes when it ends.
func runScript(t *testing.T, file string, engine *enginetest.Engine, image string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Files:               []string{file},
		Setup:               setup(&script{T: t, engine: engine}, image),
		Cmds:                commands(),
		Condition:           condition(engine),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// script is what the commands of a running script share.
type script struct {
	*testing.T
	engine  *enginetest.Engine // the selected one
	private bool               // no other test uses it
}

// scriptKey is where a script's environment has it.
type scriptKey struct{}

func scriptOf(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) }

// selectEngine tells a script how to reach an engine and what is there.
func selectEngine(env interface{ Setenv(name, value string) }, engine *enginetest.Engine, image string) {
	for _, variable := range engine.Env() {
		name, value, _ := strings.Cut(variable, "=")
		env.Setenv(name, value)
	}
	env.Setenv("CERTS", engine.CertDir)
	env.Setenv("NETNS", engine.Netns)
	env.Setenv("IMAGE", image)
}

// setup gives a script the plugin, the engine and the test image.
func setup(s *script, image string) func(*testscript.Env) error {
	return func(env *testscript.Env) error {
		env.Values[scriptKey{}] = s
		config := filepath.Join(env.WorkDir, ".docker")
		agents, err := filepath.Abs("agentimage/agents")
		if err != nil {
			return err
		}
		env.Vars = slices.DeleteFunc(env.Vars, func(v string) bool { return strings.HasPrefix(v, "DOCKER_") })
		selectEngine(env, s.engine, image)
		env.Setenv("HOME", env.WorkDir)
		env.Setenv("DOCKER_CONFIG", config)
		env.Setenv("PLUGIN", filepath.Join(config, "cli-plugins", "docker-nestprobe"))
		env.Setenv("KIND", string(s.engine.Kind))
		env.Setenv("AGENTS", agents)
		return installPlugin(config)
	}
}

// condition is what a line of a script may begin with to be for some kinds alone:
// [kind:podman], or [!kind:podman].
func condition(engine *enginetest.Engine) func(string) (bool, error) {
	return func(text string) (bool, error) {
		name, ok := strings.CutPrefix(text, "kind:")
		if !ok || !slices.Contains(enginetest.All(), enginetest.Kind(name)) {
			return false, fmt.Errorf("there is no kind of engine for the condition [%s]", text)
		}
		return engine.Kind == enginetest.Kind(name), nil
	}
}

// commands are what scripts can say besides testscript's own words.
func commands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		// client COMMAND runs a command where the engine's clients are.
		"client": func(ts *testscript.TestScript, neg bool, args []string) {
			err := execute(ts, args)
			if (err != nil) != neg {
				ts.Fatalf("%s: %v", strings.Join(args, " "), err)
			}
		},
		// exits STATUS COMMAND is client, with a look at the exit status.
		"exits": func(ts *testscript.TestScript, _ bool, args []string) {
			err := execute(ts, args[1:])
			status := 0
			if exit := new(exec.ExitError); errors.As(err, &exit) {
				status, err = exit.ExitCode(), nil
			}
			ts.Check(err)
			if want := args[0]; strconv.Itoa(status) != want {
				ts.Fatalf("exit status %d, want %s", status, want)
			}
		},
		// registry VARIABLE SOURCE REPOSITORY pushes an image to a registry
		// and puts its reference there into VARIABLE.
		"registry": func(ts *testscript.TestScript, _ bool, args []string) {
			s := scriptOf(ts)
			ts.Setenv(args[0], s.engine.Registry(s).Push(s, args[1], args[2]))
		},
		// dind VARIABLE puts the reference of an image of a nested engine into
		// VARIABLE.
		"dind": func(ts *testscript.TestScript, _ bool, args []string) {
			s := scriptOf(ts)
			ts.Setenv(args[0], enginetest.DindImage(s, s.engine))
		},
		// context NAME makes a docker context that leads to the engine.
		"context": func(ts *testscript.TestScript, _ bool, args []string) {
			s := scriptOf(ts)
			s.engine.CreateContext(s, ts.Getenv("DOCKER_CONFIG"), args[0])
		},
		// private selects an engine of the same kind that no other test uses, and
		// puts the test image there. It is for what must not be seen on the others,
		// and for what must never be reached: while an engine sets up a network, it
		// was seen to let packets through between others (Docker 20.10, Podman 4.3).
		"private": func(ts *testscript.TestScript, _ bool, _ []string) {
			s := scriptOf(ts)
			s.engine, s.private = enginetest.StartPrivate(s, s.engine.Kind), true
			selectEngine(ts, s.engine, enginetest.TestImage(s, s.engine))
		},
		// recorded FOLDER selects an engine that answers with the files in FOLDER;
		// for what no engine here is.
		"recorded": func(ts *testscript.TestScript, _ bool, args []string) {
			ts.Setenv("DOCKER_HOST", startRecorded(scriptOf(ts), ts.MkAbs(args[0])))
		},
		// tlsfront FAULT gives the engine a TLS endpoint with a fault, and selects it;
		// see [enginetest.Engine.TLSFront].
		"tlsfront": func(ts *testscript.TestScript, _ bool, args []string) {
			s := scriptOf(ts)
			host, certs := s.engine.TLSFront(s, args[0])
			ts.Setenv("DOCKER_HOST", host)
			ts.Setenv("DOCKER_TLS_VERIFY", "1")
			ts.Setenv("DOCKER_CERT_PATH", certs)
		},
		// rule, route and link change the network of a private engine's clients, and
		// server starts a server where clients are; see faults_test.go.
		"rule":   func(ts *testscript.TestScript, _ bool, args []string) { addRule(ts, args) },
		"route":  func(ts *testscript.TestScript, _ bool, args []string) { addRoute(ts, args) },
		"link":   func(ts *testscript.TestScript, _ bool, args []string) { addLink(ts, args[0]) },
		"server": func(ts *testscript.TestScript, _ bool, args []string) { startServer(ts, args[0]) },
		// remove FILE removes the containers that FILE names.
		"remove": func(ts *testscript.TestScript, _ bool, args []string) {
			ts.Check(execute(ts, append([]string{"docker", "rm", "-f"}, strings.Fields(ts.ReadFile(args[0]))...)))
		},
		// told runs the command that --keep has printed on stderr.
		"told": func(ts *testscript.TestScript, _ bool, _ []string) {
			command, ok := toldCommand(ts.ReadFile("stderr"))
			if !ok {
				ts.Fatalf("stderr does not say how to remove what was kept")
			}
			ts.Check(execute(ts, []string{"sh", "-c", command}))
		},
		// width MAX checks that no line of stdout is wider.
		"width": func(ts *testscript.TestScript, _ bool, args []string) {
			limit, err := strconv.Atoi(args[0])
			ts.Check(err)
			for line := range strings.Lines(ts.ReadFile("stdout")) {
				if n := len([]rune(strings.TrimRight(line, "\n"))); n > limit {
					ts.Fatalf("%d characters in a line: %s", n, line)
				}
			}
		},
		// proves CAUSE SEVERITY looks for a finding in the JSON on stdout, and
		// checks that nothing else is an error. The table in CONTRIBUTING is made
		// of these lines; see [TestEveryCauseIsProven].
		"proves": func(ts *testscript.TestScript, _ bool, args []string) {
			var rep report.Report
			ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &rep))
			found := false
			for _, f := range rep.Findings {
				switch {
				case string(f.Cause) == args[0] && string(f.Severity) == args[1]:
					found = true
				case f.Severity == report.SeverityError:
					ts.Fatalf("another error: %s: %q", f.Cause, f.Evidence)
				}
			}
			if !found {
				ts.Fatalf("%s is not reported as %s: %+v", args[0], args[1], rep.Findings)
			}
		},
		// noerrors checks that no finding of the JSON on stdout is an error.
		"noerrors": func(ts *testscript.TestScript, _ bool, _ []string) {
			var rep report.Report
			ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &rep))
			for _, f := range rep.Findings {
				if f.Severity == report.SeverityError {
					ts.Fatalf("an error: %s: %q", f.Cause, f.Evidence)
				}
			}
		},
		// certificate FROM UNTIL NAME... makes a self-signed certificate for the
		// names, valid from and until so long from now, which the test server takes
		// from its environment; and the file cert.pem with it.
		"certificate": func(ts *testscript.TestScript, _ bool, args []string) {
			cert, key, err := selfSigned(args[0], args[1], args[2:])
			ts.Check(err)
			ts.Check(os.WriteFile(ts.MkAbs("cert.pem"), cert, 0o600))
			ts.Setenv("TESTSERVER_CERT", string(cert))
			ts.Setenv("TESTSERVER_KEY", string(key))
		},
		// loopback VARIABLE puts an endpoint on this machine's loopback that leads to
		// the engine into VARIABLE.
		"loopback": func(ts *testscript.TestScript, _ bool, args []string) {
			s := scriptOf(ts)
			ts.Setenv(args[0], onLoopback(s.T, s.engine))
		},
		// squatter VARIABLE puts an endpoint into VARIABLE on which somebody is always
		// faster: the name of a container is taken when it is to be created.
		"squatter": func(ts *testscript.TestScript, _ bool, args []string) {
			s := scriptOf(ts)
			ts.Setenv(args[0], squatted(s.T, s.engine))
		},
		// last LINE... checks the last lines of stdout.
		"last": func(ts *testscript.TestScript, _ bool, args []string) {
			want := strings.Join(args, "\n") + "\n"
			if got := ts.ReadFile("stdout"); !strings.HasSuffix("\n"+got, "\n"+want) {
				ts.Fatalf("stdout does not end with %q", want)
			}
		},
	}
}

// execute runs a command where the engine's clients are, so that `stdout` and `stderr`
// can look at its output.
func execute(ts *testscript.TestScript, args []string) error {
	if netns := ts.Getenv("NETNS"); netns != "" {
		args = append([]string{"nsenter", "--net=" + netns, "--"}, args...)
	}
	return ts.Exec(args[0], args[1:]...)
}

// labelled lists the containers and networks on an engine that carry nestprobe's
// label, each as the docker command that removes it.
func labelled(t *testing.T, eng *enginetest.Engine) []string {
	t.Helper()
	api := eng.Client(t)
	label := filters.NewArgs(filters.Arg("label", engine.LabelRun))
	containers, err := api.ContainerList(t.Context(), container.ListOptions{All: true, Filters: label})
	assert.NilError(t, err)
	networks, err := api.NetworkList(t.Context(), network.ListOptions{Filters: label})
	assert.NilError(t, err)
	var found []string
	for _, c := range containers {
		found = append(found, "container rm -f "+c.ID)
	}
	for _, n := range networks {
		found = append(found, "network rm "+n.ID)
	}
	return found
}

// soon is how long a command of another test may take to remove what it has made; what
// goes by its own deadline does so later.
const soon = 30 * time.Second

// checkNothingNew fails for whatever stays that was not there before. Other tests use
// the engine too, so what is there may be about to go.
func checkNothingNew(t *testing.T, engine *enginetest.Engine, before []string) {
	t.Helper()
	left := slices.DeleteFunc(labelled(t, engine), func(object string) bool { return slices.Contains(before, object) })
	_ = eventually(soon, func() bool {
		there := labelled(t, engine)
		left = slices.DeleteFunc(left, func(object string) bool { return !slices.Contains(there, object) })
		return len(left) == 0
	})
	leftBehind(t, engine, left)
}

// checkNothingLeft fails for whatever of nestprobe's is on an engine of a test's own.
func checkNothingLeft(t *testing.T, engine *enginetest.Engine) {
	t.Helper()
	leftBehind(t, engine, labelled(t, engine))
}

// leftBehind removes what it fails for, so that one failure does not become many.
func leftBehind(t *testing.T, engine *enginetest.Engine, objects []string) {
	t.Helper()
	for _, left := range objects {
		t.Errorf("left behind: docker %s", left)
		out, err := engine.Command(t.Context(), "docker", strings.Fields(left)...).CombinedOutput()
		assert.Check(t, err, "%s", out)
	}
}
