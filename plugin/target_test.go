package plugin

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/target"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]target.Target{
		"web":        {Container: "web"},
		"web:8080":   {Container: "web", Port: 8080},
		"host:65535": {Port: 65535},
		"hosts":      {Container: "hosts"},
	} {
		got, err := parseTarget(text)
		assert.NilError(t, err)
		assert.Check(t, is.DeepEqual(got, want), text)
	}
	for _, text := range []string{"", "host", "host:", "host:0", "host:65536", "host:http", ":80", "web:", "web:-1", "web:80:80", "[::1]:80"} {
		_, err := parseTarget(text)
		assert.Check(t, is.ErrorContains(err, "invalid TARGET"), text)
	}
}

// Any text is parsed as a container, as a port of the host, or as an error that is safe
// to show.
func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"web", "web:8080", "host:1", "host", ":", "a:b:c", "\x1b[2J:80", "x\x00:1"} {
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
			assert.Check(t, strings.HasPrefix(text, target.Container) && !strings.Contains(target.Container, ":"), "%q", text)
		}
	})
}
