package engine

import (
	"context"
	"time"
)

// RetryPause is how long to wait before a request to an engine is repeated.
const RetryPause = 250 * time.Millisecond

// Pause waits for d or the end of ctx. It returns false if ctx has ended.
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
