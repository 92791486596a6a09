package engine

import (
	"context"
	"time"
)

// longestPause is how long to wait before a request to an engine is repeated.
const RetryPause = 250 * time.Millisecond

// pause waits and says whether ctx is still alive.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
