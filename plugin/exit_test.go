package plugin

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/docker/cli/cli"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// Joined errors are printed once each, on separate lines.
func TestNotMeasured(t *testing.T) {
	t.Parallel()
	one, two := errors.New("one\n\x1b"), errors.New("two")
	full := &writeError{errors.New("disk full")}
	going := t.Context()
	over, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	for _, test := range []struct {
		ctx    context.Context //nolint:containedctx // of a table
		err    error
		status int
		says   string
	}{
		{going, one, 125, `one\n\x1b`},
		{going, errors.Join(nil, full), 125, "writing the report: disk full"},
		{going, errors.Join(errors.Join(one, two), full), 125, `one\n\x1b` + "\ntwo\nwriting the report: disk full"},
		{going, errors.Join(two, errors.Join(two)), 125, "two"},
		{going, fmt.Errorf("three: %w", errors.Join(one, two)), 125, `three: one\n\x1b\ntwo`},
		{over, errors.Join(errInterrupted, full), 130, "interrupted\nwriting the report: disk full"},
		{over, errors.Join(context.Canceled, two), 130, "interrupted"},
		{over, two, 125, "two"},
	} {
		var status cli.StatusError
		assert.Assert(t, errors.As(notMeasured(test.ctx, test.err), &status))
		assert.Check(t, is.Equal(status.StatusCode, test.status))
		assert.Check(t, is.Equal(status.Error(), test.says))
	}
}
