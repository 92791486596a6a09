//go:build linux

package plugin_test

import (
	"strings"
	"testing"

	"github.com/docker/docker/api/types/image"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// escape begins a control sequence of a terminal.
const escape = "\x1b["

// terminalEnv is the environment of a terminal with colours, with changes.
func terminalEnv(more ...string) []string {
	return append([]string{"TERM=xterm-256color", "NO_COLOR="}, more...)
}

// Output has colours on a terminal that supports them, unless the user switches them off.
func TestColorOnlyOnTerminal(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Podman)
	for name, test := range map[string]struct {
		env     []string
		colored bool
	}{
		"terminal":            {nil, true},
		"NO_COLOR":            {[]string{"NO_COLOR=1"}, false},
		"terminal without":    {[]string{"TERM=dumb"}, false},
		"NO_COLOR and others": {[]string{"NO_COLOR=yes", "CLICOLOR_FORCE=1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := b.nestprobe(t, "run")
			cmd.Env = append(cmd.Env, terminalEnv(test.env...)...)
			p, _ := startOnTerminal(t, cmd)
			assert.Assert(t, is.Equal(p.status(t), 0), "%s", &p.stdout)
			assert.Check(t, is.Contains(p.stdout.String(), "KIND "))
			assert.Check(t, is.Equal(strings.Contains(p.stdout.String(), escape), test.colored), "%q", &p.stdout)
		})
	}
	t.Run("piped", func(t *testing.T) {
		t.Parallel()
		cmd := b.nestprobe(t, "run")
		cmd.Env = append(cmd.Env, terminalEnv()...)
		p := start(t, cmd)
		assert.Assert(t, is.Equal(p.status(t), 0), "%s", &p.stderr)
		assert.Check(t, !strings.Contains(p.stdout.String(), escape), "%q", &p.stdout)
	})
}

// Progress is printed on stderr if that is a terminal, whatever stdout is. A pipe gets
// only the result.
func TestProgressOnlyOnTerminal(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Podman)
	late := []string{"run", b.image, "--listen-after", "5s"} // part of which the start takes
	t.Run("terminal", func(t *testing.T) {
		t.Parallel()
		cmd := b.nestprobe(t, late...)
		cmd.Env = append(cmd.Env, terminalEnv()...)
		var stdout output
		cmd.Stdout = &stdout // a pipe, while stdin and stderr are the terminal
		p, _ := startOnTerminal(t, cmd)
		assert.Assert(t, is.Equal(p.status(t), 0), "%s", &p.stdout)
		assert.Check(t, is.Contains(p.stdout.String(), "\rWaiting for an answer... 1s"))
		assert.Check(t, is.Regexp(`Waiting for an answer took \d+(\.\d+)?s\r\n`, p.stdout.String()))
		assert.Check(t, is.Contains(stdout.String(), "\n200\nok\n"))
		assert.Check(t, !strings.Contains(stdout.String(), "Waiting"), "%s", &stdout)
		assert.Check(t, !strings.Contains(stdout.String(), escape), "%q", &stdout)
	})
	t.Run("piped", func(t *testing.T) {
		t.Parallel()
		cmd := b.nestprobe(t, late...)
		cmd.Env = append(cmd.Env, terminalEnv()...)
		p := start(t, cmd)
		assert.Assert(t, is.Equal(p.status(t), 0), "%s", &p.stderr)
		assert.Check(t, is.Equal(p.messages(), ""))
		assert.Check(t, !strings.Contains(p.stdout.String(), "Waiting"), "%s", &p.stdout)
	})
}

// On a terminal, a pull is shown as docker pull shows it.
func TestPullProgressOnlyOnTerminal(t *testing.T) {
	t.Parallel()
	b := newBench(t, enginetest.Engine26_1)
	remote := b.Registry(t).Push(t, b.image, "team/progress:1")
	_, err := b.api.ImageRemove(t.Context(), b.image, image.RemoveOptions{}) // or its layers need no pull
	assert.NilError(t, err)
	cmd := b.nestprobe(t, "run", remote)
	cmd.Env = append(cmd.Env, terminalEnv()...)
	p, _ := startOnTerminal(t, cmd)
	assert.Assert(t, is.Equal(p.status(t), 0), "%s", &p.stdout)
	assert.Check(t, is.Contains(p.stdout.String(), "Pulling from team/progress"))
	assert.Check(t, is.Contains(p.stdout.String(), "Pull complete"))
	assert.Check(t, is.Contains(p.stdout.String(), "Status: Downloaded newer image for "+remote))

	_, err = b.api.ImageRemove(t.Context(), remote, image.RemoveOptions{})
	assert.NilError(t, err)
	piped := start(t, b.nestprobe(t, "run", remote))
	assert.Assert(t, is.Equal(piped.status(t), 0), "%s", &piped.stderr)
	assert.Check(t, is.Equal(piped.messages(), ""))
	assert.Check(t, !strings.Contains(piped.stdout.String(), "Pull"), "%s", &piped.stdout)
}
