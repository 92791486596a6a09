package checks

import (
	"context"
	"errors"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// state is the input and what the checks have found so far. A check may read what
// another one sets only if it depends on that one.
type state struct {
	Input

	settings connection.Settings // set by "context"
	sources  connection.Sources  // set by "context"

	connection   *connection.Connection // set by "answer"
	versionFault *report.Fault          // set by "answer": no API version in common

	description report.Endpoint // set by "engine"
	networks    []network       // set by "networks"

	target TargetInput // of DescribeTarget
}

func (s *state) close() {
	if s.connection != nil {
		s.connection.Close()
	}
}

// endpoint is the endpoint as far as it is known.
func (s *state) endpoint() report.Endpoint {
	if s.description.Host != "" {
		return s.description
	}
	return report.Endpoint{
		Context:   s.settings.Context,
		Host:      s.settings.Host,
		Transport: string(s.settings.Transport),
		TLS:       s.settings.TLS,
	}
}

// requestFailed is the result of a check whose request to the engine failed: a
// fault if the cause is known, such as a lost engine, and inconclusive if not.
func (s *state) requestFailed(ctx context.Context, err error) (checkResult, error) {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return checkResult{}, err
	}
	err = s.connection.Explain(ctx, err)
	if fault := new(report.Fault); errors.As(err, &fault) {
		return checkResult{}, fault
	}
	return inconclusive("the engine's answer cannot be used: %v", err)
}
