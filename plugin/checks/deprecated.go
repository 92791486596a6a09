package checks

import (
	"context"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// The old names, until package plugin uses the new ones.
type (
	Subject = Input
	Target  = TargetInput
)

// Patience is the old name of [AnswerTimeout].
func Patience(transport connection.Transport, timeout time.Duration) time.Duration {
	return AnswerTimeout(transport, timeout)
}

// OfTarget is the old name of [DescribeTarget].
func OfTarget(ctx context.Context, target TargetInput) []report.Check {
	return DescribeTarget(ctx, target)
}
