package render

import (
	"fmt"
	"io"
	"slices"

	"github.com/docker/cli/cli/command/formatter"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// formats are the named formats other than the table.
var formats = map[string]func(io.Writer, *report.Report) error{
	formatter.JSONFormatKey: writeJSON,
	"markdown":              writeMarkdown,
	"mermaid":               writeMermaid,
	"env":                   writeEnv,
}

// Names lists the named formats, the default first.
func Names() []string {
	return []string{formatter.TableFormatKey, formatter.JSONFormatKey, "markdown", "mermaid", "env"}
}

// OfReports says whether a format can only show a Report, not other lists such as that
// of causes.
func OfReports(format string) bool {
	return formats[format] != nil && format != formatter.JSONFormatKey
}

// ofAddresses are the formats that show only the addresses that were probed.
var ofAddresses = []string{"mermaid", "env"}

// checkNamed refuses a format that would show nothing. A program that reads its
// settings from empty output would continue without them.
func checkNamed(options Options) error {
	if options.Checks && !options.Quiet && slices.Contains(ofAddresses, options.Format) {
		return fmt.Errorf("invalid --format: %s needs a TARGET: it shows addresses, and none is probed without one", options.Format)
	}
	return nil
}
