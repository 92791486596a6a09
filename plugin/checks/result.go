package checks

import (
	"fmt"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// checkResult is the result of one check.
type checkResult struct {
	status report.CheckResult
	detail string
	fault  *report.Fault // of a failure or warning; of a pass, for information
	title  string        // of the finding; empty for the title of the cause

	skippedSince string // which check failed first, if this one was skipped for that
}

func pass(format string, values ...any) (checkResult, error) {
	return checkResult{status: report.CheckPass, detail: fmt.Sprintf(format, values...)}, nil
}

// skip is the result of a check that does not apply.
func skip(format string, values ...any) (checkResult, error) {
	return checkResult{status: report.CheckSkipped, detail: fmt.Sprintf(format, values...)}, nil
}

func inconclusive(format string, values ...any) (checkResult, error) {
	return checkResult{status: report.CheckInconclusive, detail: fmt.Sprintf(format, values...)}, nil
}

// warn is the result for a setting that may be a fault, or intended.
func warn(fault *report.Fault, format string, values ...any) (checkResult, error) {
	return checkResult{status: report.CheckWarning, detail: fmt.Sprintf(format, values...), fault: fault}, nil
}

// describeFault is what happened, without the hint.
func describeFault(fault *report.Fault) string {
	if fault.Err != nil {
		return fault.Err.Error()
	}
	return diagnosis.Title(fault.Cause)
}

// maxLines limits a list in a result: what fits on a screen.
const maxLines = 20

// firstLines shortens a long list, and adds how many lines are missing.
func firstLines(lines []string) []string {
	if len(lines) <= maxLines {
		return lines
	}
	return append(lines[:maxLines:maxLines], fmt.Sprintf("and %d more", len(lines)-maxLines))
}

// commandOn returns a command to copy, on the objects with these names; none without a
// name. A name that cannot be shown safely is not in it, and counts as a command of its own
// that could not be written.
func commandOn(command shell.Text, names []string) []string {
	var shown []string
	commands := make([]string, 0, 2)
	for _, name := range names[:min(len(names), maxLines)] {
		switch {
		case name == "":
		case shell.Line("%s", name) == "":
			commands = []string{""}
		default:
			shown = append(shown, name)
		}
	}
	if len(shown) == 0 {
		return commands
	}
	return append(commands, shell.Line("%s %s", command, shown))
}
