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
	exitUnreachable = 1   // measured, and no candidate works
	exitNotMeasured = 125 // usage, engine unreachable, image not to be had: as docker run
	exitInterrupted = 130 // 128 + SIGINT
)

// usageError is the answer to flags and arguments that make no sense.
func usageError(err error) error {
	return cli.StatusError{Status: visible(err), Cause: err, StatusCode: exitNotMeasured}
}

// notMeasured is the error of a command that could not do its work.
func notMeasured(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, errInterrupted)) {
		status := "interrupted"
		for _, part := range parts(err) {
			if left := new(engine.CleanUpError); errors.As(part, &left) {
				status += "; " + visible(left)
			}
		}
		if unwritten := new(unwrittenError); errors.As(err, &unwritten) {
			status += "\n" + visible(unwritten)
		}
		return cli.StatusError{Status: status, Cause: err, StatusCode: exitInterrupted}
	}
	return cli.StatusError{Status: lines(err), Cause: err, StatusCode: exitNotMeasured}
}

// unwrittenError says that a Report could not be written, which comes on top of
// whatever else has gone wrong.
type unwrittenError struct{ err error }

func (e *unwrittenError) Error() string { return "writing the report: " + e.err.Error() }

// Unwrap returns what kept it from being written.
func (e *unwrittenError) Unwrap() error { return e.err }

// lines is an error to be printed, errors that were joined each in a line.
func lines(err error) string {
	var all []string
	for _, part := range parts(err) {
		if line := visible(part); !slices.Contains(all, line) {
			all = append(all, line)
		}
	}
	return strings.Join(all, "\n")
}

// parts are the errors that an error was joined of.
func parts(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error }) // one that is wrapped is a part of a sentence
	if !ok {
		return []error{err}
	}
	var all []error
	for _, part := range joined.Unwrap() {
		all = append(all, parts(part)...)
	}
	return all
}

// onlyLeft says whether nothing has failed but the removal of helpers.
func onlyLeft(err error) bool {
	for _, part := range parts(err) {
		if part != nil && !errors.As(part, new(*engine.CleanUpError)) {
			return false
		}
	}
	return true
}

// maxMessage bounds an error message, which may quote an engine or a registry.
const maxMessage = 4 << 10

func visible(err error) string { return netprobe.Visible(err.Error(), maxMessage) }
