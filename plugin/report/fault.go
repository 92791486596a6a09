package report

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// Fault is an error whose cause is known.
type Fault struct {
	Cause    Cause
	Title    string   // what is wrong, if the cause does not say it
	Evidence []string // what was measured, one measurement a line
	Hint     string   // how to fix it, in one sentence
	Commands []string // to copy, written by package shell; empty ones could not be
	Setting  Setting  // what fixes it; empty if the cause decides
	Err      error    // what happened; may be nil
}

// Error is one sentence: what happened, or the id of the cause if Err is nil, then
// the hint.
func (f *Fault) Error() string {
	message := string(f.Cause)
	if f.Err != nil {
		message = f.Err.Error()
	}
	if f.Hint == "" {
		return message
	}
	return fmt.Sprintf("%s: %s", message, f.Hint)
}

// Unwrap returns Err.
func (f *Fault) Unwrap() error { return f.Err }

// MaxLine bounds a line of a finding, in bytes: several lines of a wide terminal.
// Evidence may quote an engine, a registry or a server at any length.
const MaxLine = 1 << 10

// Finding is the fault as a part of a Report, with control characters escaped. A command
// in which something would be escaped or cut off is left out, and the hint says so.
// Package diagnosis adds the title.
func (f *Fault) Finding() Finding {
	commands, hint := shown(f.Commands, f.Hint)
	return Finding{
		Cause:    f.Cause,
		Severity: SeverityError,
		Evidence: escape(f.Evidence),
		Hint:     hint,
		Commands: commands,
		Setting:  f.Setting,
	}
}

// shown are the commands that can be shown as they are, and the hint, which says so if that
// is not all of them.
func shown(commands []string, hint string) (safe []string, visible string) {
	safe = []string{}
	for _, c := range commands {
		if c != "" && len(c) <= shell.Max && shell.Safe(c) {
			safe = append(safe, c)
		}
	}
	if len(safe) < len(commands) && !strings.HasSuffix(hint, leftOut) {
		hint = strings.TrimPrefix(hint+leftOut, "; ")
	}
	return safe, netprobe.Visible(hint, MaxLine)
}

// leftOut is added to the hint of a finding that lacks a command.
const leftOut = "; a command is left out, since a name in it cannot be written safely in a shell"

func escape(lines []string) []string {
	escaped := make([]string, len(lines))
	for i, line := range lines {
		escaped[i] = netprobe.Visible(line, MaxLine)
	}
	return escaped
}

// FromFinding turns the finding of another process, and the message of its error,
// into an error.
func FromFinding(finding Finding, message string) *Fault {
	return &Fault{
		Cause:    finding.Cause,
		Evidence: finding.Evidence,
		Commands: finding.Commands,
		Err:      errors.New(message),
	}
}
