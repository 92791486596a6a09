package plugin

import (
	"io"
	"slices"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render"
)

// output writes the Report of a command once: when it is known, before the clean-up, if
// the format allows it; else at the end of the command.
type output struct {
	renderer *render.Renderer
	flags    flagNamer
	out      io.Writer
	progress *progress

	shown *report.Report // nil until it has been written
	err   error          // of that
}

func newOutput(cmd *cobra.Command, dockerCLI command.Cli, renderer *render.Renderer) *output {
	return &output{renderer: renderer, flags: flagNamer{cmd}, out: dockerCLI.Out(), progress: &progress{out: dockerCLI.Err()}}
}

// show writes a Report to which only the clean-up is still to be added.
func (o *output) show(rep *report.Report) {
	if o.shown != nil || o.renderer.ShowsTimings() {
		return
	}
	o.shown = new(*rep)
	o.err = o.renderer.Write(o.out, o.flags.report(rep))
}

// finish writes the Report at the end of the command, or what has been found since it was
// shown. The error is that of writing it.
func (o *output) finish(named *report.Report) error {
	if o.shown == nil {
		return o.renderer.Write(o.out, named)
	}
	for _, f := range named.Findings {
		if !slices.ContainsFunc(o.shown.Findings, func(shown report.Finding) bool { return shown.Cause == f.Cause }) {
			o.note(f)
		}
	}
	return o.err
}

// note prints a finding on stderr.
func (o *output) note(f report.Finding) {
	o.progress.Note(f.Title)
	for _, line := range slices.Concat(f.Evidence, f.Commands) {
		o.progress.Note("  " + line)
	}
}
