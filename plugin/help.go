package plugin

import (
	"slices"
	"strings"

	"github.com/moby/term"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagGroup are flags that the help shows under a title of their own.
type flagGroup struct {
	title string
	flags []string
}

// flagGroups are the groups of the flags of run and in-container, in the order in which
// people need them. A command has those of its own flags.
var flagGroups = []flagGroup{
	{"Server Options", []string{"env", "env-file", "entrypoint", "volume", "hostname", "user", "platform", "pull", "add-host", "servers", "keep"}},
	{"Network Options", []string{"publish", "publish-all", "network", "network-driver", "parent", "subnet", "gateway", "internal", "ipv6", "networks", "nodes"}},
	{"Probe Options", []string{"port", "scheme", "path", "header", "method", "expect-status", "expect-body", "websocket", "wait", "timeout"}},
	{"Client Options", []string{"access", "socket-path", "client-image", "client-network", "client-user", "from", "relay", "relay-publish", "dind-image"}},
	{"Output Options", []string{"format", "no-trunc", "quiet"}},
}

// optionsSection is the part of docker's usage template that lists the flags (docker/cli,
// cli/cobra.go).
const optionsSection = "Options:\n{{ wrappedFlagUsages . | trimRightSpace}}"

// groupFlags has the help of a command show its flags in groups.
func groupFlags(cmd *cobra.Command) {
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		cmd.SetUsageFunc(nil)
		grouped := strings.ReplaceAll(flagUsages(cmd.LocalFlags()), "{{", `{{"{{"}}`)
		cmd.SetUsageTemplate(strings.Replace(cmd.UsageTemplate(), optionsSection, grouped, 1))
		return cmd.Usage()
	})
}

// flagUsages lists flags by group. Those of no group come last.
func flagUsages(flags *pflag.FlagSet) string {
	var sections []string
	grouped := map[string]bool{}
	for _, group := range flagGroups {
		for _, name := range group.flags {
			grouped[name] = true
		}
		sections = append(sections, flagSection(group.title, flags, func(name string) bool { return slices.Contains(group.flags, name) }))
	}
	sections = append(sections, flagSection("Options", flags, func(name string) bool { return !grouped[name] }))
	return strings.Join(slices.DeleteFunc(sections, func(s string) bool { return s == "" }), "\n\n")
}

// flagSection lists the flags of a group; it is empty if there are none.
func flagSection(title string, flags *pflag.FlagSet, wanted func(name string) bool) string {
	section := pflag.NewFlagSet(title, pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		if wanted(f.Name) {
			section.AddFlag(f)
		}
	})
	if !section.HasAvailableFlags() {
		return ""
	}
	return title + ":\n" + strings.TrimRight(section.FlagUsagesWrapped(helpWidth()-1), " \n")
}

// helpWidth is the width that docker's own help has: that of the terminal, or 80.
func helpWidth() int {
	if size, err := term.GetWinsize(0); err == nil && size.Width > 0 {
		return int(size.Width)
	}
	return 80
}
