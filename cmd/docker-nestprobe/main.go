// Command docker-nestprobe is the Docker CLI plugin behind `docker nestprobe`.
// It is wiring only: see the package plugin for the commands. It also works
// without docker in front, as `docker-nestprobe run`.
package main

import (
	"io"
	"log"
	"os"
	"runtime/debug"

	cliplugin "github.com/docker/cli/cli-plugins/plugin"
	"github.com/spf13/cobra"

	"github.com/nestprobe/docker-nestprobe/plugin"
)

// These are set by make from git.
var (
	version            = "dev"
	commit, commitTime string
)

// memoryLimit is when memory that is no longer used is reclaimed more eagerly, in bytes. A
// whole run takes 30 MiB. The largest answers of an engine that are accepted take several
// times that while they are decoded.
const memoryLimit = 80 << 20

func main() {
	debug.SetMemoryLimit(memoryLimit)
	log.SetOutput(io.Discard) // net/http writes there what it finds wrong with the other side
	build := plugin.Build{Version: version, Commit: commit, CommitTime: commitTime}
	if info, ok := debug.ReadBuildInfo(); ok {
		build = build.WithRecorded(info)
	}
	cobra.EnableCommandSorting = false // help lists the commands in the order in which people need them
	os.Args = plugin.StandaloneArgs(os.Args)
	cliplugin.Run(plugin.New(build), plugin.Metadata(build.Version))
}
