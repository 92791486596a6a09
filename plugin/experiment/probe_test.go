package experiment

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// The report of an exit is awaited after the probes have ended, but not for ever: an engine
// whose answer does not say that the container runs never reports one.
func TestAwaitExit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reported time.Duration // after the probes have ended; 0 for never
		want     time.Duration
	}{
		"reported late": {time.Second, time.Second},
		"not reported":  {0, bounds.AnswerTime},
	} {
		synctest.Test(t, func(t *testing.T) {
			exited := make(chan engine.Exit, 1)
			s := &server{run: &run{}, exited: exited}
			s.run.request.Image = "users"
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			finished, finish := context.WithCancel(ctx)
			finish()
			if test.reported > 0 {
				time.AfterFunc(test.reported, func() { exited <- engine.Exit{Err: errLost} })
			}
			began := time.Now()
			err := s.awaitExit(ctx, finished)
			assert.Check(t, is.Equal(time.Since(began), test.want), name)
			assert.Check(t, is.Equal(bounds.Is(err), test.reported == 0), name)
		})
	}
}

var errLost = errors.New("lost") // any error will do
