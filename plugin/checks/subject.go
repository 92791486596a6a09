package checks

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Subject is what is looked at.
type Subject struct {
	// Context is the docker context, where there is more than one to tell apart.
	Context string
	// Docker is how commands for this context begin, such as docker --context NAME.
	Docker string
	// Resolve returns the endpoint and where its settings came from.
	Resolve func() (connection.Settings, connection.Sources, error)
	// Environment returns a variable of this process.
	Environment func(name string) string
	// ContainerProxies are the proxies that docker's configuration gives to new
	// containers of an engine.
	ContainerProxies func(host string) ConfiguredProxies
	// Agents are the agents that there are, see package agentimage.
	Agents fs.FS
	// Timeout is how long one attempt at one address may take. The engine gets
	// more, see [Patience].
	Timeout time.Duration
}

// state is the subject and what the checks have found of it, for those that need
// them. What a check sets is read only by checks that name it in needs.
type state struct {
	Subject

	settings connection.Settings // by context
	sources  connection.Sources

	connection *connection.Connection // by answer
	refusal    *report.Fault          // by answer: no API version in common

	engine   report.Endpoint // by engine
	networks []network       // by networks

	target Target // of OfTarget
}

func (s *state) close() {
	if s.connection != nil {
		s.connection.Close()
	}
}

// described is the endpoint as far as it is known.
func (s *state) described() report.Endpoint {
	if s.engine.Host != "" {
		return s.engine
	}
	return report.Endpoint{
		Context:   s.settings.Context,
		Host:      s.settings.Host,
		Transport: string(s.settings.Transport),
		TLS:       s.settings.TLS,
	}
}

// asked is the outcome of a question that the engine did not answer well: a
// fault if the cause is known, such as an engine that has gone, else nothing that
// decides.
func (s *state) asked(ctx context.Context, err error) (outcome, error) {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return outcome{}, err
	}
	err = s.connection.Explain(ctx, err)
	if fault := new(report.Fault); errors.As(err, &fault) {
		return outcome{}, fault
	}
	return undecided("the engine's answer: %v", err)
}
