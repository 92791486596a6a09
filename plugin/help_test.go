package plugin

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// commandOf returns a command below docker's own root command, as the plugin runs it.
func commandOf(t *testing.T, name string) *cobra.Command {
	t.Helper()
	dockerCLI, err := command.NewDockerCli(command.WithCombinedStreams(io.Discard))
	assert.NilError(t, err)
	root := &cobra.Command{Use: "docker"}
	root.AddCommand(New(Build{})(dockerCLI))
	cli.SetupPluginRootCommand(root)
	cmd, _, err := root.Find([]string{pluginName, name})
	assert.NilError(t, err)
	return cmd
}

// The help of run and in-container shows each flag once, in its group.
func TestHelpHasEachFlagOnce(t *testing.T) {
	for _, name := range []string{"run", "in-container"} {
		cmd := commandOf(t, name)
		var out bytes.Buffer
		cmd.SetOut(&out)
		assert.NilError(t, cmd.Help())
		help := out.String()
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			line := regexp.MustCompile(`(?m)^ {2}(-\w,| {3}) --` + f.Name + `( |$)`)
			assert.Check(t, is.Len(line.FindAllString(help, -1), 1), "%s --%s", name, f.Name)
		})
		assert.Check(t, is.Contains(help, "\nServer Options:\n  "), help)
		assert.Check(t, is.Contains(help, "\nOutput Options:\n  "), help)
		assert.Check(t, !strings.Contains(help, "\nOptions:"), help)
		assert.Check(t, is.Equal(strings.Contains(help, "\nClient Options:\n"), name == "in-container"))
	}
}

func TestStandaloneArgs(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"p run", "p nestprobe run"},
		{"p", "p nestprobe"},
		{"p -H tcp://engine:2375 run --port 80", "p -H tcp://engine:2375 nestprobe run --port 80"},
		{"p --context=box -D diagnose -q", "p --context=box -D nestprobe diagnose -q"},
		{"p --config /tmp/c --tls run", "p --config /tmp/c --tls nestprobe run"},
		{"p --typo run", "p nestprobe --typo run"},
		{"p --help", "p nestprobe --help"},
	} {
		assert.Check(t, is.Equal(strings.Join(StandaloneArgs(strings.Split(test.args, " ")), " "), test.want))
	}
}
