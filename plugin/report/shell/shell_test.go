package shell

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// Plain names stay as they are, and all others are one word, or there is no command.
func TestLine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ posix, windows string }{
		"shop_web-1.example":       {"docker logs shop_web-1.example", "docker logs shop_web-1.example"},
		"registry:5000/a/b@sha:1":  {"docker logs registry:5000/a/b@sha:1", `docker logs "registry:5000/a/b@sha:1"`},
		"CONTAINER":                {"docker logs CONTAINER", "docker logs CONTAINER"},
		"a,b":                      {"docker logs a,b", `docker logs "a,b"`},
		"":                         {"docker logs ''", ""},
		"a b":                      {"docker logs 'a b'", `docker logs "a b"`},
		"it's":                     {`docker logs 'it'"'"'s'`, `docker logs "it's"`},
		"$(reboot)":                {"docker logs '$(reboot)'", ""},
		"`reboot`":                 {"docker logs '`reboot`'", ""},
		"$HOME":                    {"docker logs '$HOME'", ""},
		`a"b`:                      {`docker logs 'a"b'`, ""},
		"a;reboot":                 {"docker logs 'a;reboot'", `docker logs "a;reboot"`},
		"a&reboot":                 {"docker logs 'a&reboot'", `docker logs "a&reboot"`},
		"a|b>c":                    {"docker logs 'a|b>c'", `docker logs "a|b>c"`},
		"!!":                       {"docker logs '!!'", ""},
		"%PATH%":                   {"docker logs %PATH%", ""},
		"=ls":                      {"docker logs '=ls'", "docker logs =ls"},
		"~":                        {"docker logs '~'", `docker logs "~"`},
		"*":                        {"docker logs '*'", `docker logs "*"`},
		"#x":                       {"docker logs '#x'", `docker logs "#x"`},
		"{a,b}":                    {"docker logs '{a,b}'", `docker logs "{a,b}"`},
		"[::1]":                    {"docker logs '[::1]'", `docker logs "[::1]"`},
		`C:\Users\me`:              {`docker logs 'C:\Users\me'`, `docker logs C:\Users\me`},
		`C:\my files\`:             {`docker logs 'C:\my files\'`, ""},
		"büro":                     {"docker logs 'büro'", `docker logs "büro"`},
		"a”; reboot":               {"docker logs 'a”; reboot'", ""},
		"@args":                    {"docker logs @args", `docker logs "@args"`},
		"%s":                       {"docker logs %s", ""},
		"-f":                       {"", ""},
		"--rm":                     {"", ""},
		"a\nreboot":                {"", ""},
		"a\r":                      {"", ""},
		"a\tb":                     {"", ""},
		"a\x00b":                   {"", ""},
		"\x1b[31m":                 {"", ""},
		"\u202egnp.exe":            {"", ""},
		"a\u00a0b":                 {"", ""},
		"a\u200bb":                 {"", ""},
		"\xff":                     {"", ""},
		strings.Repeat("x", Max+1): {"docker logs " + strings.Repeat("x", Max+1), ""},
	} {
		assert.Check(t, POSIX.Line("docker logs %s", name) == test.posix, "%q: %s", name, POSIX.Line("docker logs %s", name))
		assert.Check(t, Windows.Line("docker logs %s", name) == test.windows, "%q: %s", name, Windows.Line("docker logs %s", name))
	}
}

// A value may be a part of a word, several words, or a part of a command.
func TestLineOfValues(t *testing.T) {
	t.Parallel()
	type values = []any
	for _, test := range []struct {
		template       string
		values         values
		posix, windows string
	}{
		{"docker run ...", nil, "docker run ...", "docker run ..."},
		{"docker run --publish %s:%s ...", values{uint16(1), 2}, "docker run --publish 1:2 ...", "docker run --publish 1:2 ..."},
		{"docker run -e NO_PROXY=%s", values{"*.x"}, "docker run -e NO_PROXY='*.x'", `docker run -e "NO_PROXY=*.x"`},
		{"docker run -v %s:/data", values{"/a b"}, "docker run -v '/a b:/data'", `docker run -v "/a b:/data"`},
		{"docker run -v %s:/data", values{"--x"}, "", ""},
		{"ps --filter label=%s", values{"-x"}, "ps --filter label=-x", "ps --filter label=-x"},
		{"ps label=%s", values{""}, "ps label=", "ps label="},
		{"%s rm %s", values{Text("docker -H 'a b'"), []string{"a", "b c"}}, "docker -H 'a b' rm a 'b c'", `docker -H 'a b' rm a "b c"`},
		{"%s rm %s", values{Text("docker"), []string{"a", "\n"}}, "", ""},
		{"%s rm a", values{Text("")}, "", ""},
		{"%s %s", values{Text("a %s"), "b"}, "a %s b", "a %s b"},
		{`sudo chown "$(id -u)" %s`, values{"$x"}, `sudo chown "$(id -u)" '$x'`, ""},
		{"docker -H.x %s", values{"-"}, "", ""},
	} {
		assert.Check(t, POSIX.Line(test.template, test.values...) == test.posix, "%s: %s", test.template, POSIX.Line(test.template, test.values...))
		assert.Check(t, Windows.Line(test.template, test.values...) == test.windows, "%s: %s", test.template, Windows.Line(test.template, test.values...))
	}
	for _, values := range []values{nil, {"a", "b"}} {
		func() {
			defer func() { assert.Check(t, recover() != nil, "%q", values) }()
			Line("docker logs %s", values...)
		}()
	}
}
