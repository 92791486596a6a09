package checks

import (
	"context"
	"errors"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/refusal"
	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// Input is the context to check, and what the checks need to know of this process.
type Input struct {
	// Context is the name of the context, or empty if the Report has only one.
	Context string
	// Docker is the start of commands for this context, such as docker --context NAME.
	Docker shell.Text
	// Resolve returns the endpoint and the source of each of its settings.
	Resolve func() (connection.Settings, connection.Sources, error)
	// Environment returns a variable of this process.
	Environment func(name string) string
	// ContainerProxies returns the proxy settings that docker's configuration adds to
	// new containers on the engine at host.
	ContainerProxies func(host string) ConfiguredProxies
	// Agents are the agent binaries (see package agentimage).
	Agents agentimage.Binaries
	// Timeout limits one attempt at one address. The engine may take longer (see
	// [AnswerTimeout]).
	Timeout time.Duration
	// OnWait is called with what is being waited for when the engine takes long to answer.
	// It may be nil.
	OnWait func(what string)
}

// state is the input and what the checks have found so far. A check may read what
// another one sets only if it depends on that one.
type state struct {
	Input

	settings connection.Settings // set by "context"
	sources  connection.Sources  // set by "context"
	endpoint report.Endpoint     // set by "context", and with its engine by "engine"

	connection   *connection.Connection // set by "answer"
	versionFault *report.Fault          // set by "answer": no API version in common

	self *facts.Self // the container of this process, set by "engine"

	networks []network           // set by "networks"
	tried    []refusal.TriedCall // set by "needed calls"

	target TargetInput // of DescribeTarget
}

func (s *state) close() {
	if s.connection != nil {
		s.connection.Close()
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
