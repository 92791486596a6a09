package plugin

import (
	"io"
	"testing"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
	"gotest.tools/v3/assert"
)

// Every flag whose value can be guessed has a completion. cobra returns an error for a
// completion of a flag that does not exist, which the plugin ignores, since a user
// could not fix it.
func TestCompletions(t *testing.T) {
	t.Parallel()
	dockerCLI, err := command.NewDockerCli(command.WithCombinedStreams(io.Discard))
	assert.NilError(t, err)
	run := []string{"scheme", "network", "network-driver", "networks", "env", "platform", "pull", "format"}
	for name, flags := range map[string][]string{
		"run":          run,
		"in-container": append([]string{"access", "client-image", "client-network", "from"}, run...),
		"diagnose":     {"from", "explain", "format"},
		"version":      {"format"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, _, err := New(Build{})(dockerCLI).Find([]string{name})
			assert.NilError(t, err)
			assert.Check(t, cmd.ValidArgsFunction != nil)
			for _, flag := range flags {
				checkCompletes(t, cmd, flag)
			}
		})
	}
}

func checkCompletes(t *testing.T, cmd *cobra.Command, flag string) {
	t.Helper()
	assert.Check(t, cmd.Flags().Lookup(flag) != nil, "there is no flag --%s", flag)
	_, found := cmd.GetFlagCompletionFunc(flag)
	assert.Check(t, found, "--%s has no completion", flag)
}
