package plugin

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/docker/cli/cli"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// Exit statuses. They do not depend on the output's format.
const (
	exitUnreachable = 1   // measured, and no address works
	exitNotMeasured = 125 // wrong usage, engine unreachable, image unavailable: as docker run
	exitInterrupted = 130 // 128 + SIGINT
)

// usageError is the error for invalid flags and arguments.
func usageError(err error) error {
	return cli.StatusError{Status: visible(err), Cause: err, StatusCode: exitNotMeasured}
}

// notMeasured is the error of a command that could not measure.
func notMeasured(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, errInterrupted)) {
		status := "interrupted"
		for _, part := range joinedErrors(err) {
			if left := new(engine.CleanUpError); errors.As(part, &left) {
				status += "; " + visible(left)
			}
		}
		if writeErr := new(writeError); errors.As(err, &writeErr) {
			status += "\n" + visible(writeErr)
		}
		return cli.StatusError{Status: status, Cause: err, StatusCode: exitInterrupted}
	}
	return cli.StatusError{Status: formatError(err), Cause: err, StatusCode: exitNotMeasured}
}

// writeError is an error in writing the Report. It is printed in addition to any
// other error.
type writeError struct{ err error }

func (e *writeError) Error() string { return "writing the report: " + e.err.Error() }

// Unwrap returns the error of the writer.
func (e *writeError) Unwrap() error { return e.err }

// formatError returns the text to print for an error. Joined errors are on separate
// lines.
func formatError(err error) string {
	var all []string
	for _, part := range joinedErrors(err) {
		if line := visible(part); !slices.Contains(all, line) {
			all = append(all, line)
		}
	}
	return strings.Join(all, "\n")
}

// joinedErrors returns the errors that were joined into err.
func joinedErrors(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error }) // a wrapped joined error is part of a sentence
	if !ok {
		return []error{err}
	}
	var all []error
	for _, part := range joined.Unwrap() {
		all = append(all, joinedErrors(part)...)
	}
	return all
}

// onlyCleanUpFailed reports whether err is nil, or says only that helpers were not
// removed.
func onlyCleanUpFailed(err error) bool {
	for _, part := range joinedErrors(err) {
		if part != nil && !errors.As(part, new(*engine.CleanUpError)) {
			return false
		}
	}
	return true
}

// maxMessage limits an error message, which may quote an engine or a registry.
const maxMessage = 4 << 10

func visible(err error) string { return netprobe.Visible(err.Error(), maxMessage) }
