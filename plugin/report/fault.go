package report

import (
	"errors"
	"fmt"

	"github.com/nestprobe/docker-nestprobe/netprobe"
)

// Fault is an error whose cause is known.
type Fault struct {
	Cause    Cause
	Evidence []string // what was measured, a line each
	Hint     string   // what to do, one sentence
	Commands []string // commands to copy, if there are any
	Err      error    // what happened; may be nil
}

// Error is one sentence: what happened, or else the id of the cause, then what to
// do.
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

// Unwrap returns the error underneath.
func (f *Fault) Unwrap() error { return f.Err }

// MaxLine bounds a line of a finding: several lines of a wide terminal. Evidence
// may quote an engine, a registry or a server.
const MaxLine = 1 << 10

// Finding is the fault as a part of a Report, safe to show. Its title is left to
// package diagnosis.
func (f *Fault) Finding() Finding {
	return Finding{
		Cause:    f.Cause,
		Severity: SeverityError,
		Evidence: visible(f.Evidence),
		Hint:     netprobe.Visible(f.Hint, MaxLine),
		Commands: visible(f.Commands),
	}
}

func visible(lines []string) []string {
	shown := make([]string, len(lines))
	for i, line := range lines {
		shown[i] = netprobe.Visible(line, MaxLine)
	}
	return shown
}

// FromFinding makes an error of a finding that another process has reported, and
// of what it said.
func FromFinding(finding Finding, message string) *Fault {
	return &Fault{
		Cause:    finding.Cause,
		Evidence: finding.Evidence,
		Commands: finding.Commands,
		Err:      errors.New(message),
	}
}
