//go:build linux

package plugin_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// hooksConfig is what README says to add to config.json.
const hooksConfig = `{"features": {"hooks": "true"}, "plugins": {"nestprobe": {"hooks": "run,container run"}}}`

// The docker command prints the plugin's suggestion after docker run, on a terminal, and
// the suggested command works.
func TestDockerPrintsSuggestion(t *testing.T) {
	t.Parallel()
	e := enginetest.Get(t, enginetest.Linux)
	config := t.TempDir()
	assert.NilError(t, installPlugin(config))
	assert.NilError(t, os.WriteFile(filepath.Join(config, "config.json"), []byte(hooksConfig), 0o600))
	image := enginetest.TestImage(t, e)
	docker := func(args ...string) *exec.Cmd {
		cmd := e.Command(t.Context(), "docker", args...)
		cmd.Env = append(cmd.Env, "DOCKER_CONFIG="+config, "DOCKER_CLI_HINTS=")
		return cmd
	}
	skipWithoutHooks(t, docker("version", "--format", "{{.Client.Version}}"))
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", "nestprobe-hook", "nestprobe-hook-second").Run() })

	run := []string{"run", "-d", "-p", "127.0.0.1::8080", "--name", "nestprobe-hook", image}
	output := onTerminal(t, docker(run...), 0)
	assert.Assert(t, is.Contains(output, "Find out which address reaches this server → docker nestprobe diagnose nestprobe-hook\r\n"))
	follow(t, docker, output, 0, "127.0.0.1:")

	// The same name, and then the same port, again.
	output = onTerminal(t, docker(run...), 125)
	assert.Assert(t, is.Contains(output, "→ docker nestprobe diagnose --explain name-in-use\r\n"))
	follow(t, docker, output, 0, "name-in-use: ")
	address, err := docker("port", "nestprobe-hook", "8080").Output()
	assert.NilError(t, err)
	taken := strings.TrimSpace(string(address))
	output = onTerminal(t, docker("run", "-d", "-p", taken+":8080", "--name", "nestprobe-hook-second", image), 125)
	assert.Assert(t, is.Contains(output, "→ docker nestprobe diagnose nestprobe-hook-second\r\n"))
	follow(t, docker, output, 1, "port-in-use")

	// Only on a terminal, and not if the user has switched hints off.
	quiet := docker(run...)
	piped, err := quiet.CombinedOutput()
	assert.Check(t, err != nil && !strings.Contains(string(piped), "nestprobe diagnose"), "%s", piped)
	off := docker(run...)
	off.Env = append(off.Env, "DOCKER_CLI_HINTS=false")
	output = onTerminal(t, off, 125)
	assert.Check(t, !strings.Contains(output, "nestprobe diagnose"), "%s", output)
}

// skipWithoutHooks skips a test if the machine's docker command is older than hooks.
func skipWithoutHooks(t *testing.T, version *exec.Cmd) {
	t.Helper()
	out, err := version.Output()
	assert.NilError(t, err)
	if regexp.MustCompile(`^(1\d|2[0-5])\.`).Match(out) {
		t.Skipf("the docker command is %s: hooks need 26.1 or newer", out)
	}
}

// onTerminal runs a command on a terminal and returns its output.
func onTerminal(t *testing.T, cmd *exec.Cmd, status int) string {
	t.Helper()
	p, _ := startOnTerminal(t, cmd)
	assert.Assert(t, is.Equal(p.status(t), status), "%s", &p.stdout)
	return p.stdout.String()
}

// follow runs the command that is suggested on the last line with an arrow.
func follow(t *testing.T, docker func(...string) *exec.Cmd, output string, status int, want string) {
	t.Helper()
	suggested := regexp.MustCompile(`→ docker (nestprobe .*)\r\n`).FindStringSubmatch(output)
	assert.Assert(t, suggested != nil, "%s", output)
	cmd := docker(strings.Fields(suggested[1])...)
	p := start(t, cmd)
	assert.Check(t, is.Equal(p.status(t), status), "%s%s", &p.stdout, &p.stderr)
	assert.Check(t, is.Contains(p.stdout.String(), want))
}
