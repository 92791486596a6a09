package plugin

import (
	"slices"
	"strings"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/completion"
	"github.com/spf13/cobra"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
)

// completeImages offers the images of the engine, but for that of the agent.
func completeImages(dockerCLI command.Cli) cobra.CompletionFunc {
	images := completion.ImageNames(dockerCLI, 1)
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		names, directive := images(cmd, args, toComplete)
		isAgent := func(name string) bool { return strings.HasPrefix(name, agentimage.Repository+":") }
		return slices.DeleteFunc(names, isAgent), directive
	}
}

// completePlaces offers the places to probe from. The name of a network follows network:.
func completePlaces(dockerCLI command.Cli) cobra.CompletionFunc {
	containers, networks := completion.ContainerNames(dockerCLI, false), completion.NetworkNames(dockerCLI)
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if !strings.HasPrefix(toComplete, probing.VantageNetwork) {
			names, _ := containers(cmd, args, toComplete)
			directive := cobra.ShellCompDirectiveNoFileComp
			if rest, _ := strings.CutPrefix(probing.VantageNetwork, toComplete); toComplete != "" && rest != probing.VantageNetwork {
				directive |= cobra.ShellCompDirectiveNoSpace
			}
			return append([]string{probing.VantageHost, probing.VantageNetwork}, names...), directive
		}
		names, directive := networks(cmd, args, toComplete)
		for i, name := range names {
			names[i] = probing.VantageNetwork + name
		}
		return names, directive
	}
}

// completeTarget offers the containers, the stopped ones too: diagnose says why they do not
// answer.
func completeTarget(dockerCLI command.Cli) cobra.CompletionFunc {
	containers := completion.ContainerNames(dockerCLI, true)
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return containers(cmd, args, toComplete)
	}
}

// completeCauses offers the causes with their titles.
func completeCauses(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	causes := diagnosis.Causes()
	offered := make([]string, len(causes))
	for i, cause := range causes {
		offered[i] = cobra.CompletionWithDesc(string(cause), diagnosis.Title(cause))
	}
	return offered, cobra.ShellCompDirectiveNoFileComp
}
