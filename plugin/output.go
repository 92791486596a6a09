package plugin

import (
	"os"

	"github.com/docker/cli/cli/command"

	"github.com/nestprobe/docker-nestprobe/plugin/report/render"
)

func newRenderer(dockerCLI command.Cli, format string, quiet bool) (*render.Renderer, error) {
	return render.New(render.Options{
		Format: format,
		Quiet:  quiet,
		Color:  wantsColor(dockerCLI),
	})
}

// wantsColor follows no-color.org, and terminals that say they have none.
func wantsColor(dockerCLI command.Cli) bool {
	return dockerCLI.Out().IsTerminal() && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
