package sentence_test

import (
	"errors"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
)

// TestOf escapes and bounds what a sentence quotes, and keeps its cause.
func TestOf(t *testing.T) {
	t.Parallel()
	cause := errors.New("far side: \x1b[2J\nall is well \u202e")
	err := sentence.Of(cause, "the engine at %q does not answer (%s)", "tcp://a\x07", cause)
	assert.Equal(t, err.Error(), `the engine at "tcp://a\a" does not answer (far side: \x1b[2J\nall is well \u202e)`)
	assert.ErrorIs(t, err, cause)

	long := sentence.Of(nil, "%s", strings.Repeat("x", 1<<20)).Error()
	assert.Assert(t, len(long) == 1<<10 && strings.HasSuffix(long, "…"), "%d bytes", len(long))
}
