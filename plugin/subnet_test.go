//go:build linux

package plugin_test

import (
	"os/exec"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// A temporary network avoids the machine's routes, such as those of a VPN, even if these
// cover all subnets that the engine would choose from. A subnet that the user has chosen
// is used as it is.
func TestSubnetAvoidsRoutes(t *testing.T) {
	t.Parallel()
	onEach(t, privateKinds(), func(t *testing.T, b *bench) {
		for _, command := range []string{
			"ip link add vpn1 up type veth peer name vpn2",
			"ip link set vpn2 up",
			"ip route add 10.231.128.0/17 dev vpn1", // all pools of test engines
		} {
			words := strings.Fields(command)
			out, err := b.Command(t.Context(), words[0], words[1:]...).CombinedOutput()
			assert.NilError(t, err, "%s: %s", command, out)
		}
		const addresses = "{{range .Servers}}{{range .Networks}}{{.IPv4}} {{end}}{{end}}"
		chosen := stdoutOf(t, b.nestprobe(t, "run", "--network-driver", "bridge", "--format", addresses))
		assert.Check(t, !strings.HasPrefix(chosen, "10.231."), chosen)
		assert.Check(t, strings.HasPrefix(chosen, "172.") || strings.HasPrefix(chosen, "192.168.") || strings.HasPrefix(chosen, "10."), chosen)
		own := stdoutOf(t, b.nestprobe(t, "run", "--network-driver", "bridge", "--subnet", "10.231.200.0/26", "--format", addresses))
		assert.Check(t, is.Contains(own, "10.231.200."))
		checkNothingLeft(t, b.Engine)
	})
}

// stdoutOf runs a command that is to succeed and returns its stdout.
func stdoutOf(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	p := start(t, cmd)
	assert.Assert(t, is.Equal(p.status(t), 0), "%s", &p.stderr)
	return p.stdout.String()
}
