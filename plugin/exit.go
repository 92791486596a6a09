package plugin

import (
	"context"
	"errors"

	"github.com/docker/cli/cli"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
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
		if left := new(experiment.CleanUpError); errors.As(err, &left) {
			status += "; " + visible(left)
		}
		return cli.StatusError{Status: status, Cause: err, StatusCode: exitInterrupted}
	}
	return cli.StatusError{Status: visible(err), Cause: err, StatusCode: exitNotMeasured}
}

// maxMessage bounds an error message, which may quote an engine or a registry.
const maxMessage = 4 << 10

func visible(err error) string { return netprobe.Visible(err.Error(), maxMessage) }
