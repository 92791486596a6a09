package plugin

import (
	"net/url"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/target"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]target.Target{
		"web":                                   {Container: "web"},
		"web:8080":                              {Container: "web", Port: 8080},
		"host:65535":                            {Port: 65535},
		"hosts":                                 {Container: "hosts"},
		"localhost.web:80":                      {Container: "localhost.web", Port: 80},
		"localhost:8080":                        {Address: "localhost", Port: 8080},
		"127.0.0.1:8080":                        {Address: "127.0.0.1", Port: 8080},
		"0.0.0.0:8080":                          {Address: "0.0.0.0", Port: 8080},
		"[::1]:8080":                            {Address: "::1", Port: 8080},
		"host.docker.internal:8080":             {Address: "host.docker.internal", Port: 8080},
		"localhost:8080/api?v=1":                {Address: "localhost", Port: 8080, URL: parseURL(t, "//localhost:8080/api?v=1")},
		"http://localhost:8080/api?v=1":         {Address: "localhost", Port: 8080, URL: parseURL(t, "http://localhost:8080/api?v=1")},
		"http://localhost":                      {Address: "localhost", Port: 80, URL: parseURL(t, "http://localhost")},
		"https://[::1]/":                        {Address: "::1", Port: 443, URL: parseURL(t, "https://[::1]/")},
		"ws://web/events":                       {Container: "web", Port: 80, URL: parseURL(t, "ws://web/events")},
		"http://host:3000":                      {Port: 3000, URL: parseURL(t, "http://host:3000")},
		"postgres://db:5432/shop":               {Container: "db", Port: 5432, URL: parseURL(t, "postgres://db:5432/shop")},
		"redis://docker.for.mac.localhost:6379": {Address: "docker.for.mac.localhost", Port: 6379, URL: parseURL(t, "redis://docker.for.mac.localhost:6379")},
	} {
		got, err := parseTarget(text)
		assert.NilError(t, err)
		assert.Check(t, is.DeepEqual(got, want), text)
	}
	for _, text := range []string{"", "host", "host:", "host:0", "host:65536", "host:http", ":80", "web:", "web:-1", "web:80:80", "localhost", "127.0.0.1", "[::1]", "::1:80",
		"[web]:80", "http://", "https://:443", "tcp://localhost", "http://localhost:0", "http://%zz", "//:80"} {
		_, err := parseTarget(text)
		assert.Check(t, is.ErrorContains(err, "invalid TARGET"), text)
	}
}

func parseURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	assert.NilError(t, err)
	return u
}

// Any text is parsed as a container, as a port of the host, or as an error that is safe
// to show.
func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"web", "web:8080", "host:1", "localhost:1", "http://[::1]/x", "host", ":", "a:b:c", "\x1b[2J:80", "x\x00:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := parseTarget(text)
		switch {
		case err != nil:
			assert.Check(t, !strings.ContainsAny(err.Error(), "\x1b\x00\n"), "%q", err)
		case target.Container == "":
			assert.Check(t, target.Port != 0, "%q", text)
		default:
			assert.Check(t, target.Address == "" && !strings.ContainsAny(target.Container, ":/"), "%q", text)
		}
	})
}
