package docs

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin"
)

// The reference has every command and every flag, with the texts of their help.
func TestReference(t *testing.T) {
	t.Parallel()
	root := pluginCommand(t)
	page := generatedNote("the help of the commands") + "# Commands\n\n" +
		"`docker nestprobe COMMAND --help` prints these texts in a terminal. The options of `docker` itself,\n" +
		"such as `--context` and `-H`, stand before `nestprobe`.\n\n| command | |\n|---|---|\n"
	details := ""
	for _, cmd := range root.Commands() {
		if cmd.Hidden {
			continue
		}
		page += fmt.Sprintf("| [`docker %s`](#docker-%s) | %s |\n", cmd.CommandPath(), anchor(cmd.CommandPath()), cell(cmd.Short))
		details += commandReference(root, cmd)
	}
	isGenerated(t, "reference.md", page+details)
}

// pluginCommand is the command `docker nestprobe`.
func pluginCommand(t *testing.T) *cobra.Command {
	t.Helper()
	dockerCLI, err := command.NewDockerCli(command.WithCombinedStreams(io.Discard))
	assert.NilError(t, err)
	return plugin.New(plugin.Build{Version: "dev"})(dockerCLI)
}

func anchor(path string) string { return strings.ReplaceAll(path, " ", "-") }

// commandReference is the section about a command. Options that are those of run are not
// listed again.
func commandReference(root, cmd *cobra.Command) string {
	section := fmt.Sprintf("\n## docker %s\n\n```\ndocker %s\n```\n\n%s\n", cmd.CommandPath(), strings.TrimSuffix(cmd.UseLine(), " [flags]"), helpText(cmd))
	if cmd.HasExample() {
		section += fmt.Sprintf("\n```console\n%s\n```\n", examples(cmd.Example))
	}
	rows, shared := "", 0
	cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		switch {
		case flag.Hidden:
		case cmd.Name() == "in-container" && isOption(root, "run", flag):
			shared++
		default:
			rows += fmt.Sprintf("| %s | %s |\n", flagName(flag), cell(flagText(flag)))
		}
	})
	if shared > 0 {
		section += "\nIt has the options of [`docker nestprobe run`](#docker-nestprobe-run) and these:\n"
	}
	if rows != "" {
		section += "\n| option | |\n|---|---|\n" + rows
	}
	return section
}

// isOption says whether a command has the same flag.
func isOption(root *cobra.Command, name string, flag *pflag.Flag) bool {
	cmd, _, err := root.Find([]string{name})
	if err != nil {
		return false
	}
	other := cmd.LocalFlags().Lookup(flag.Name)
	return other != nil && other.Usage == flag.Usage
}

// helpText is a command's long help. Its indented lines are a block of their own.
func helpText(cmd *cobra.Command) string {
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	var out strings.Builder
	block := false
	for line := range strings.Lines(text) {
		indented := strings.HasPrefix(line, "  ")
		switch {
		case indented && !block:
			out.WriteString("\n```\n")
		case !indented && block:
			out.WriteString("```\n")
		}
		block = indented
		out.WriteString(line)
	}
	if block {
		out.WriteString("\n```")
	}
	return out.String()
}

// examples are a help's examples as a console shows them.
func examples(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = "$ " + strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}

func flagName(flag *pflag.Flag) string {
	name := "`--" + flag.Name + "`"
	if flag.Shorthand != "" {
		name = "`-" + flag.Shorthand + "`, " + name
	}
	return name
}

// spaces align the lines of a help text.
var spaces = regexp.MustCompile(` {2,}`)

// flagText is the help of a flag, with the default that the help shows.
func flagText(flag *pflag.Flag) string {
	_, usage := pflag.UnquoteUsage(flag)
	usage = spaces.ReplaceAllString(strings.ReplaceAll(usage, "<", "&lt;"), " ")
	switch flag.DefValue {
	case "", "false", "[]", "0":
		return usage
	}
	return usage + " (default `" + flag.DefValue + "`)"
}
