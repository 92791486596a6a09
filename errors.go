package nestprobe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
	"github.com/nestprobe/docker-nestprobe/plugin/target/meaning"
)

// Error says why no address works, and how to fix that. What engines and servers have said
// in it is safe to show.
type Error struct {
	Container string   // as the caller named it
	Port      uint16   // in the container; 0 if it is not known
	Cause     Cause    // empty if what was measured does not decide it
	Title     string   // the cause in one sentence
	Evidence  []string // what was measured, one measurement a line
	Hint      string   // how to fix it, in one sentence; may be empty
	Commands  []string // to copy into a POSIX shell; may be empty

	err error
}

// shownEvidence is how many lines of evidence Error has: the first ones prove the cause, and
// those that follow are of further addresses.
const shownEvidence = 3

// Error returns the title with its cause, the first evidence and the hint, in one line.
func (e *Error) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "cannot reach %s", e.Container)
	if e.Port != 0 {
		fmt.Fprintf(&text, ":%d", e.Port)
	}
	fmt.Fprintf(&text, ": %s", e.Title)
	if e.Cause != "" {
		fmt.Fprintf(&text, " (%s)", e.Cause)
	}
	if lines := e.Evidence[:min(len(e.Evidence), shownEvidence)]; len(lines) > 0 {
		fmt.Fprintf(&text, ": %s", strings.Join(lines, "; "))
	}
	if e.Hint != "" {
		fmt.Fprintf(&text, "; to fix it, %s", e.Hint)
	}
	if len(e.Commands) > 0 {
		fmt.Fprintf(&text, ": %s", strings.Join(e.Commands, "; "))
	}
	return text.String()
}

// Unwrap returns the error of the client, if there was one.
func (e *Error) Unwrap() error { return e.err }

// Is says whether the target is the error's [Cause], for errors.Is.
func (e *Error) Is(target error) bool {
	cause, ok := target.(Cause)
	return ok && cause == e.Cause
}

// Error returns the id of the cause. A Cause is an error so that errors.Is takes it.
func (c Cause) Error() string { return string(c) }

// Title returns the cause in one sentence; empty for what is no cause.
func (c Cause) Title() string {
	if c == "" {
		return ""
	}
	return diagnosis.Title(report.Cause(c))
}

// newError returns the error of a finding.
func (s *settings) newError(port uint16, f report.Finding, err error) *Error {
	return &Error{
		Container: s.target.Container, Port: port,
		Cause: Cause(f.Cause), Title: f.Title, Evidence: f.Evidence, Hint: f.Hint, Commands: f.Commands,
		err: err,
	}
}

// unreached returns the error of a Report in which no address works.
func (s *settings) unreached(r *Report) *Error {
	port := s.target.Port
	if len(r.Servers) > 0 {
		port = r.Servers[0].Port
	}
	for _, f := range r.Findings {
		if f.Severity != report.SeverityError {
			continue
		}
		e := s.newError(port, f, nil)
		if e.Cause == "" { // a helper in the server's network namespace sees more
			e.Hint = "have a helper look from inside the container's network"
			e.Commands = append(e.Commands, shell.Line("docker nestprobe diagnose %s", fmt.Sprintf("%s:%d", s.target.Container, port)))
		}
		return e
	}
	return s.newError(port, report.Finding{Title: "No address works"}, nil)
}

// explain turns an error into an *Error if its cause is known.
func (s *settings) explain(ctx context.Context, api API, err error) error {
	var missing *meaning.NotFoundError
	if errors.As(err, &missing) {
		return fmt.Errorf("%w: %w", err, errdefs.ErrNotFound)
	}
	var fault *report.Fault
	if !errors.As(connection.Explain(err), &fault) {
		return err
	}
	if fault.Cause == connection.EngineUnreachable {
		fault = reopen(ctx, api, fault)
	}
	finding := diagnosis.Finding(fault)
	finding.Evidence = append(finding.Evidence, sentence(fault.Err)...)
	return s.newError(s.target.Port, finding, cmp.Or(fault.Err, err))
}

// reopen opens the socket of an endpoint that is lost, to see why: docker's client drops the
// reason of a failed connection.
func reopen(ctx context.Context, api API, lost *report.Fault) *report.Fault {
	endpoint := connection.NewSettings("", api.DaemonHost())
	if endpoint.Transport != connection.Unix && endpoint.Transport != connection.Npipe {
		return lost
	}
	opened, err := connection.Open(ctx, endpoint)
	if err == nil {
		opened.Close()
		return lost
	}
	var fault *report.Fault
	if !errors.As(err, &fault) {
		return lost
	}
	return fault
}

// sentence is the text of an error as a line of evidence; none for nil.
func sentence(err error) []string {
	if err == nil {
		return nil
	}
	return (&report.Fault{Evidence: []string{err.Error()}}).Finding().Evidence
}
