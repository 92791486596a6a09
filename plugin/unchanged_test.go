//go:build linux

package plugin_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// diagnose changes nothing on the engine, nor on its host, whether it only looks
// or starts helpers beside a target.
func TestDiagnoseChangesNothing(t *testing.T) {
	t.Parallel()
	onEach(t, []enginetest.Kind{enginetest.Engine26_1, enginetest.Engine28_5, enginetest.Podman}, func(t *testing.T, b *bench) {
		t.Helper()
		b.says(t, "docker", "network", "create", "shop")
		b.says(t, "docker", "run", "-d", "--name", "target", "--network", "shop", "-p", "8080", b.image)
		b.says(t, "docker", "run", "-d", "--name", "neighbour", b.image) // a bridge in use has a link
		before := b.snapshot(t)
		for _, args := range [][]string{
			{"diagnose"},
			{"diagnose", "target:8080"},
			{"diagnose", "--from", "network:shop", "--from", "target", "target:8080"},
		} {
			b.succeeds(t, args...)
			after := b.snapshot(t)
			for look, was := range before {
				assert.Check(t, is.Equal(after[look], was), "%s is not what it was before %v", look, args)
			}
		}
		b.says(t, "docker", "rm", "-f", "target", "neighbour")
		b.says(t, "docker", "network", "rm", "shop")
	})
}

// snapshot is what could have been changed, by the command that shows it.
func (b *bench) snapshot(t *testing.T) map[string]string {
	t.Helper()
	shown := map[string]string{}
	for _, look := range []string{
		"docker inspect target",
		"docker diff target",
		"docker ps -a --no-trunc --format {{.ID}}",
		"docker network ls --no-trunc",
		"docker network inspect shop bridge",
		"docker volume ls",
		"iptables -S",
		"iptables -t nat -S",
		"ip -4 route show table all", // the kernel's own link-local addresses come and go
		"ip -4 -br addr show type bridge",
	} {
		if b.Kind == enginetest.Podman && look == "docker diff target" {
			continue // it cannot be asked for by docker's API there
		}
		args := strings.Fields(look)
		shown[look] = b.says(t, args[0], args[1:]...)
	}
	return shown
}

// says runs a command where the engine's clients are.
func (b *bench) says(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := b.Command(t.Context(), name, args...).Output()
	assert.NilError(t, err, "%s %v", name, args)
	return string(out)
}

// Without a target diagnose asks, and does nothing else.
func TestDiagnoseOnlyAsks(t *testing.T) {
	t.Parallel()
	onEach(t, []enginetest.Kind{enginetest.Engine26_1, enginetest.Podman}, func(t *testing.T, b *bench) {
		t.Helper()
		tap := startTap(t, b.Engine, func(m moment) {
			assert.Check(t, strings.HasPrefix(m.Request, "GET ") || strings.HasPrefix(m.Request, "HEAD "), m.Request)
		})
		p := start(t, through(b.nestprobe(t, "diagnose"), tap))
		assert.Check(t, is.Equal(p.status(t), 0), "%s", &p.stderr)
	})
}
