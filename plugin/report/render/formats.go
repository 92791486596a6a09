package render

import (
	"fmt"
	"io"
	"slices"

	"github.com/docker/cli/cli/command/formatter"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// formats are those that are neither a table nor a template, by their names.
var formats = map[string]func(io.Writer, *report.Report) error{
	formatter.JSONFormatKey: writeJSON,
	"markdown":              writeMarkdown,
	"mermaid":               writeMermaid,
	"env":                   writeEnv,
}

// Names lists the formats that have one, the default first.
func Names() []string {
	return []string{formatter.TableFormatKey, formatter.JSONFormatKey, "markdown", "mermaid", "env"}
}

// OfReports says whether a format is of whole Reports alone, and not of rows too.
func OfReports(format string) bool {
	return formats[format] != nil && format != formatter.JSONFormatKey
}

// ofAddresses are the formats that show nothing but addresses that were tried.
var ofAddresses = []string{"mermaid", "env"}

// checkNamed refuses a format that would have nothing to show: a program that
// takes settings from an empty output would go on without them.
func checkNamed(options Options) error {
	if options.Checks && !options.Quiet && slices.Contains(ofAddresses, options.Format) {
		return fmt.Errorf("invalid --format: %s needs a TARGET: it shows addresses, and none is tried without one", options.Format)
	}
	return nil
}
