package shell

import (
	"testing"

	"gotest.tools/v3/assert"
)

func TestVariables(t *testing.T) {
	t.Parallel()
	host := Assignment{"DOCKER_HOST", "tcp://[::1]:2375"}
	for name, test := range map[string]struct {
		write          func(Shell) string
		posix, windows string
	}{
		"one":     {func(s Shell) string { return s.Export(host) }, "export DOCKER_HOST='tcp://[::1]:2375'", `$env:DOCKER_HOST = "tcp://[::1]:2375"`},
		"two":     {func(s Shell) string { return s.Export(Assignment{"A", "1"}, Assignment{"B", "a b"}) }, "export A=1 B='a b'", `$env:A = "1"; $env:B = "a b"`},
		"hostile": {func(s Shell) string { return s.Export(Assignment{"A", "$(x)"}) }, "export A='$(x)'", ""},
		"line":    {func(s Shell) string { return s.Export(Assignment{"A", "a\nb"}) }, "", ""},

		"add":          {func(s Shell) string { return s.Add("NO_PROXY", true, "10.0.0.0/8,::1") }, `export NO_PROXY="$NO_PROXY,10.0.0.0/8,::1"`, `$env:NO_PROXY = "$env:NO_PROXY,10.0.0.0/8,::1"`},
		"add first":    {func(s Shell) string { return s.Add("NO_PROXY", false, "a") }, `export NO_PROXY="a"`, `$env:NO_PROXY = "a"`},
		"add hostile":  {func(s Shell) string { return s.Add("NO_PROXY", true, `$(x)"`) }, `export NO_PROXY="$NO_PROXY,"'$(x)"'`, ""},
		"add a line":   {func(s Shell) string { return s.Add("NO_PROXY", true, "a\nb") }, "", ""},
		"add the last": {func(s Shell) string { return s.Add("NO_PROXY", false, "!!") }, `export NO_PROXY=""'!!'`, ""},

		"unset":   {func(s Shell) string { return s.Unset("A", "B") }, "unset A B", "Remove-Item -ErrorAction Ignore Env:A, Env:B"},
		"without": {func(s Shell) string { return string(s.Without("docker", "A", "B")) }, "env -u A -u B docker", "Remove-Item -ErrorAction Ignore Env:A, Env:B; docker"},
		"with":    {func(s Shell) string { return string(s.Without("docker")) }, "docker", "docker"},

		"join":      {func(s Shell) string { return s.Join(" && ", "a", "b") }, "a && b", "a\nb"},
		"join none": {func(s Shell) string { return s.Join(" && ", "a", "") }, "", ""},
	} {
		assert.Check(t, test.write(POSIX) == test.posix, "%s: %s", name, test.write(POSIX))
		assert.Check(t, test.write(Windows) == test.windows, "%s: %s", name, test.write(Windows))
	}
}
