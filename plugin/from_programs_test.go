//go:build linux

package plugin_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// The page about programs, and the programs in it.
const programsPage = "../docs/from-programs.md"

var codeBlock = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// programsOf returns the programs of the page in a language, in their order.
func programsOf(t *testing.T, language string) []string {
	t.Helper()
	page, err := os.ReadFile(programsPage)
	assert.NilError(t, err)
	var found []string
	for _, match := range codeBlock.FindAllStringSubmatch(string(page), -1) {
		if match[1] == language {
			found = append(found, match[2])
		}
	}
	assert.Assert(t, len(found) > 0, "%s has no program in %s", programsPage, language)
	return found
}

// buildProgram builds the page's Go program with a client of the Docker API, as a static
// program that runs in a container too.
func buildProgram(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	source := filepath.Join(folder, "main.go")
	assert.NilError(t, os.WriteFile(source, []byte(programsOf(t, "go")[0]), 0o600))
	program := filepath.Join(folder, "reach")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	assert.NilError(t, err, "%s", out)
	return program
}

// reachCase is a server, and what a program prints about it.
type reachCase struct {
	name    string
	options []string // of docker run
	args    []string // of the server
	want    string   // in what the program prints
}

// reachCases are for programs beside the engine and in containers.
func reachCases(name string) []reachCase {
	return []reachCase{
		{name + "-ok", nil, nil, ""},
		{name + "-late", nil, []string{"--listen-after", "1s"}, "http://"},
		{name + "-status", nil, []string{"--status", "500"}, "(unexpected-status)"},
		{name + "-exits", nil, []string{"--exit-code", "3", "--log", "no database"}, "(server-exited): container " + name + "-exits exited with code 3; log: no database"},
		{name + "-none", []string{"--network", "none"}, nil, "(network-none)"},
	}
}

// The Go program of the page finds a proven address or the cause. Beside an engine on this
// machine it sees the sockets of the server; elsewhere it does not.
func TestGoProgram(t *testing.T) {
	t.Parallel()
	program := buildProgram(t)
	const name = "nestprobe-program"
	published := []string{"-p", "8080"}
	unpublished := reachCase{name + "-unpublished", nil, nil, "(port-not-published)"}
	seen := append(reachCases(name),
		reachCase{name + "-loopback", published, []string{"--listen", "127.0.0.1:8080"}, "start the server with --listen 0.0.0.0"},
		reachCase{name + "-elsewhere", published, []string{"--listen", ":9090"}, "(server-listens-elsewhere)"})
	seen[0] = reachCase{name + "-ok", published, nil, "http://127.0.0.1: witnessed"}
	for kind, cases := range map[enginetest.Kind][]reachCase{
		enginetest.Linux:   seen,
		enginetest.Podman:  {{name + "-ok", published, nil, "http://127.0.0.1:"}},
		enginetest.Desktop: {{name + "-ok", published, nil, "http://127.0.0.1: unverified"}, unpublished},
		enginetest.Toolbox: {{name + "-ok", published, nil, "http://10.231.1.2: unverified"}, unpublished},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			engine := enginetest.Get(t, kind)
			u := &user{t, engine, enginetest.TestImage(t, engine)}
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					u.tryProgram(t, c, program, c.name)
				})
			}
		})
	}
}

// tryProgram starts a server and runs a program where the engine's clients are.
func (u *user) tryProgram(t *testing.T, c reachCase, program string, args ...string) {
	t.Helper()
	u.startServer(t, c)
	out, _ := u.engine.Command(t.Context(), program, args...).CombinedOutput() // what it prints says more than its status
	assert.Assert(t, matches(string(out), c.want), "%q, not %q", out, c.want)
}

// matches says whether a text has the words of another one, in their order.
func matches(text, words string) bool {
	for word := range strings.FieldsSeq(words) {
		_, after, ok := strings.Cut(text, word)
		if !ok {
			return false
		}
		text = after
	}
	return true
}

func (u *user) startServer(t *testing.T, c reachCase) {
	t.Helper()
	args := append([]string{"run", "-d", "--name", c.name}, c.options...)
	args = append(append(args, u.image), c.args...)
	out, err := u.docker(t.Context(), args...).CombinedOutput()
	assert.NilError(t, err, "%s", out)
	t.Cleanup(func() { _ = u.docker(context.Background(), "rm", "-f", c.name).Run() })
}

// The same program in a container uses the addresses that work there.
func TestGoProgramInContainer(t *testing.T) {
	t.Parallel()
	engine := enginetest.Get(t, enginetest.Linux)
	server := &user{t, engine, enginetest.TestImage(t, engine)}
	client := &user{t, engine, enginetest.CLIImage(t, engine, buildProgram(t))}
	client.createNetwork("nestprobe-inside")
	client.start("nestprobe-inside-job", "--network", "nestprobe-inside")
	cases := reachCases("nestprobe-inside")
	onNetwork := []string{"--network", "nestprobe-inside"}
	for i := range cases[:4] {
		cases[i].options = onNetwork
	}
	cases[0].want = "http://nestprobe-inside-ok:8080 unverified"
	cases = append(cases, reachCase{"nestprobe-inside-isolated", nil, nil, "(networks-isolated)"})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server.startServer(t, c)
			const program = "/usr/local/lib/docker/cli-plugins/reach"
			out, _ := client.docker(t.Context(), "exec", "nestprobe-inside-job", program, c.name).CombinedOutput()
			assert.Assert(t, matches(string(out), c.want), "%q, not %q", out, c.want)
		})
	}
}

// The programs in other languages print the address or the cause that the plugin found.
func TestOtherPrograms(t *testing.T) {
	t.Parallel()
	engine := enginetest.Get(t, enginetest.Linux)
	config := t.TempDir()
	assert.NilError(t, installPlugin(config))
	u := &user{t, engine, enginetest.TestImage(t, engine)}
	cases := []reachCase{
		{"nestprobe-other-ok", []string{"-p", "127.0.0.1::8080"}, nil, "http://127.0.0.1:"},
		{"nestprobe-other-loopback", []string{"-p", "8080"}, []string{"--listen", "127.0.0.1:8080"}, "(server-listens-on-loopback): have the server listen"},
	}
	for _, c := range cases {
		u.startServer(t, c)
	}
	for language, command := range map[string][]string{"python": {"python3", "reach.py"}, "javascript": {"node", "reach.js"}, "java": {"java", "Reach.java"}} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Skipf("this machine has no %s", command[0])
			}
			source := filepath.Join(t.TempDir(), command[1])
			assert.NilError(t, os.WriteFile(source, []byte(programsOf(t, language)[0]), 0o600))
			for _, c := range cases {
				cmd := u.engine.Command(t.Context(), command[0], source, c.name)
				cmd.Env = append(cmd.Env, "DOCKER_CONFIG="+config)
				out, _ := cmd.CombinedOutput()
				assert.Check(t, matches(string(out), c.want), fmt.Sprintf("%s about %s: %s", language, c.name, out))
			}
		})
	}
}
