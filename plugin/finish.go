package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render"
)

// newRenderer checks the format before anything is measured.
func newRenderer(dockerCLI command.Cli, o outputOptions, checks bool) (*render.Renderer, error) {
	renderer, err := render.New(render.Options{
		Format: o.format,
		Quiet:  o.quiet,
		Color:  useColor(dockerCLI),
		Width:  o.width(dockerCLI),
		Checks: checks,
	})
	return renderer, nameFormat(err)
}

// nameFormat names the flag in the error of a format.
func nameFormat(err error) error {
	if invalid := new(render.FormatError); errors.As(err, &invalid) {
		return fmt.Errorf("invalid --format: %w", invalid.Err)
	}
	return err
}

// outputOptions are the flags for how a Report is shown.
type outputOptions struct {
	format  string
	quiet   bool
	noTrunc bool
}

// install adds the flags. What --quiet prints differs between commands.
func (o *outputOptions) install(flags *pflag.FlagSet, quiet string) {
	flags.StringVar(&o.format, "format", "", formatHelp)
	flags.BoolVar(&o.noTrunc, "no-trunc", false, "Don't truncate output")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, quiet)
}

// defaultWidth is that of a terminal that does not say how wide it is.
const defaultWidth = 80

// width is that of the terminal, or 0 to shorten nothing.
func (o *outputOptions) width(dockerCLI command.Cli) int {
	if o.noTrunc || !dockerCLI.Out().IsTerminal() {
		return 0
	}
	_, width := dockerCLI.Out().GetTtySize()
	return cmp.Or(int(width), defaultWidth)
}

// useColor follows no-color.org, and leaves out colors for TERM=dumb.
func useColor(dockerCLI command.Cli) bool {
	return dockerCLI.Out().IsTerminal() && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// finishCommand shows the Report if that was not done before, whatever became of it (a
// program that reads JSON gets the reason there), and turns the outcome into an exit
// status. The error says why nothing could be measured. The verdict is the sentence for a
// Report that is not OK.
func finishCommand(cmd *cobra.Command, out *output, rep *report.Report, err error, verdict func(*report.Report) string) error {
	flags := out.flags
	rep = flags.report(rep)
	handleSignals(cmd.Context())
	if keep := cmd.Flags().Lookup("keep"); err == nil && (keep == nil || !keep.Changed) { // kept servers are still to be printed
		err = context.Cause(cmd.Context())
	}
	if err != nil {
		rep.OK = false
		err = flags.error(err)
		rep.Error = visible(err)
	}
	if writeErr := out.finish(rep); writeErr != nil {
		if err == nil && rep.Error != "" { // the Report, which has it, was not written
			err = errors.New(rep.Error)
		}
		err = errors.Join(err, &writeError{nameFormat(writeErr)})
	}
	switch {
	case err != nil:
		return notMeasured(cmd.Context(), err)
	case rep.OK:
		return nil
	default:
		return cli.StatusError{Status: verdict(rep), StatusCode: exitUnreachable}
	}
}

// addFinding adds the causes of an error to the findings, as far as they are known.
func addFinding(rep *report.Report, err error) {
	for _, part := range joinedErrors(err) {
		if fault := new(report.Fault); errors.As(part, &fault) {
			rep.Findings = diagnosis.Merge(rep.Findings, []report.Finding{diagnosis.Finding(fault)})
		}
	}
}

// unreachable is the verdict on a server that was probed and not reached.
func unreachable(rep *report.Report) string {
	noAccess := len(rep.Accesses) > 0
	for _, access := range rep.Accesses {
		noAccess = noAccess && !access.OK
	}
	switch {
	case noAccess:
		return "no client container got access to the Docker API"
	case len(rep.Modes) > 0 && len(rep.Best) > 0:
		return "in some network modes no address reaches the server, and the cause is not known"
	case len(rep.Modes) > 0:
		return "no address reaches the server in any of these network modes"
	case len(rep.Nodes) > 0:
		return "some nodes cannot reach others"
	case len(rep.Servers) > 1:
		return "some servers cannot be reached from " + place(rep)
	default:
		return "no address reaches the server from " + place(rep)
	}
}

// place names the vantage that matters for a reader: where the command runs, if it was
// probed from there.
func place(rep *report.Report) string {
	vantage, here := probing.VantageClient, rep.Self.Vantage()
	for i, p := range rep.Probes {
		if i == 0 || p.Vantage == here {
			vantage = p.Vantage
		}
	}
	container, ok := strings.CutPrefix(vantage, probing.VantageContainer)
	switch {
	case vantage == here || rep.Command == runName:
		return "here"
	case ok:
		return "container " + container
	default:
		return "the client container"
	}
}

// faultIsFinding makes a finding of an error whose cause is known, such as an
// engine that cannot be reached: for diagnose that is a result. It returns the error
// that is left.
func faultIsFinding(cmd *cobra.Command, rep *report.Report, err error) error {
	fault := new(report.Fault)
	if cmd.Context().Err() != nil || !errors.As(err, &fault) {
		return err
	}
	rep.Findings = diagnosis.Merge(rep.Findings, []report.Finding{diagnosis.Finding(fault)})
	rep.Error = visible(flagNamer{cmd}.error(err))
	return nil
}

// diagnosed is the verdict on a Report of diagnose that has errors.
func diagnosed(rep *report.Report) string {
	if rep.Error != "" {
		return rep.Error
	}
	return "there is an error: " + strings.Join(causesOf(rep.Findings, report.SeverityError), ", ")
}

// causesOf lists the causes of the findings with a severity, each once.
func causesOf(findings []report.Finding, severity report.Severity) []string {
	var causes []string
	for _, f := range findings {
		cause := string(f.Cause)
		if cause == "" {
			cause = "unknown cause"
		}
		if f.Severity == severity && !slices.Contains(causes, cause) {
			causes = append(causes, cause)
		}
	}
	return causes
}
