package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestAgentContainsNoDockerCLI(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	assert.NilError(t, err)
	deps := strings.Fields(string(out))
	assert.Assert(t, len(deps) > 100, "go list printed %d packages", len(deps))
	for _, dep := range deps {
		assert.Assert(t, !strings.HasPrefix(dep, "github.com/docker/cli"), "the agent contains %s", dep)
	}
}

func TestWrongArguments(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no role":             {nil, "no role given, expected one of: client, guard, probe, relay, serve"},
		"unknown role":        {[]string{"dance"}, `unknown role "dance", expected one of: client, guard, probe, relay, serve`},
		"unknown option":      {[]string{"serve", "--bogus"}, "flag provided but not defined: -bogus"},
		"argument":            {[]string{"serve", "--identity", "t", "more"}, `serve takes no arguments, got "more"`},
		"scheme":              {[]string{"serve", "--identity", "t", "--scheme", "ftp"}, `--scheme is "ftp", expected http, https or tcp`},
		"port":                {[]string{"serve", "--identity", "t", "--port", "65536"}, "--port is 65536, above 65535"},
		"path":                {[]string{"serve", "--identity", "t", "--path", "foo"}, `--path is "foo", expected a leading slash`},
		"websocket":           {[]string{"serve", "--identity", "t", "--websocket", "ws"}, `--websocket is "ws", expected a leading slash`},
		"same paths":          {[]string{"serve", "--identity", "t", "--websocket", "/foo"}, `--path and --websocket are both "/foo"`},
		"deadline":            {[]string{"serve", "--identity", "t", "--deadline", "-1s"}, "--deadline is -1s, expected a time from now"},
		"no identity":         {[]string{"serve"}, "--identity has 0 characters, expected 1 to 128"},
		"long identity":       {[]string{"serve", "--identity", strings.Repeat("x", 129)}, "--identity has 129 characters, expected 1 to 128"},
		"header in identity":  {[]string{"serve", "--identity", "a\r\nSet-Cookie: b"}, `--identity contains '\r', expected visible ASCII`},
		"unicode in identity": {[]string{"serve", "--identity", "é"}, "--identity contains 'é', expected visible ASCII"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), test.args, stdio{in: strings.NewReader(""), out: &stdout, err: &stderr})
			assert.Equal(t, code, exitUsage)
			assert.Equal(t, stderr.String(), "nestprobe-agent: "+test.want+"\n")
			assert.Equal(t, stdout.String(), "")
		})
	}
}

func TestHelpListsOptions(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"serve", "--help"}, stdio{in: strings.NewReader(""), out: &stdout, err: &stderr})
	assert.Equal(t, code, exitOK)
	for _, option := range []string{"-port", "-scheme", "-path", "-websocket", "-identity", "-deadline", "-lease"} {
		assert.Assert(t, strings.Contains(stderr.String(), "  "+option), "%s is missing in:\n%s", option, stderr.String())
	}
}
