// Command docker-nestprobe is the Docker CLI plugin behind `docker nestprobe`.
// It is wiring only: see the package plugin for the commands. It also works
// without docker in front, as `docker-nestprobe run`.
package main

import (
	"os"

	cliplugin "github.com/docker/cli/cli-plugins/plugin"
	"github.com/spf13/cobra"

	"github.com/nestprobe/docker-nestprobe/plugin"
)

// version is set by make from the git tag.
var version = "dev"

func main() {
	cobra.EnableCommandSorting = false // help lists the commands in the order in which people need them
	os.Args = plugin.StandaloneArgs(os.Args)
	cliplugin.Run(plugin.New, plugin.Metadata(version))
}
