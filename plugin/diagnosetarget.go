package plugin

import (
	"context"
	"errors"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// diagnoseTarget explains why a running server can or cannot be reached.
func diagnoseTarget(_ context.Context, _ session, _ string, _ diagnoseOptions) (*report.Report, error) {
	return report.New(diagnoseName), errors.New("diagnosing a target is not built yet")
}
