package plugin

import (
	"testing"

	"github.com/docker/cli/cli/flags"
	"github.com/spf13/pflag"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// The command for removal repeats the flags that choose the endpoint, quoted for a
// shell, and no others.
func TestDockerCommandKeepsEndpointFlags(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args []string
		want string
	}{
		{nil, "docker"},
		{[]string{"--debug", "--log-level", "warn"}, "docker"},
		{[]string{"-c", "box"}, "docker --context box"},
		{[]string{"--host=ssh://root@box:2222"}, "docker -H ssh://root@box:2222"},
		{[]string{"--tls=false", "-H", "tcp://[::1]:2375"}, "docker -H 'tcp://[::1]:2375' --tls=false"},
		{[]string{"--config", "/home/o'neil/my docker", "-D"}, `docker --config '/home/o'"'"'neil/my docker'`},
		{[]string{"-c", "a\nb", "--tls=false"}, ""},
		{[]string{"-c", "$(reboot)"}, "docker --context '$(reboot)'"},
	}
	for _, test := range tests {
		set := pflag.NewFlagSet("docker", pflag.ContinueOnError)
		flags.NewClientOptions().InstallFlags(set)
		assert.NilError(t, set.Parse(test.args))
		assert.Check(t, is.Equal(string(dockerCommand(set)), test.want))
	}
}
