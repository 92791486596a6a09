package checks

import (
	"context"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

const categoryContext = "context"

// contextChecks are about what was selected, and by which setting.
func contextChecks() []check {
	return []check{{
		category: categoryContext, name: "context", ends: true,
		hint: "choose a context that works: `docker context ls` lists them",
		look: (*state).lookAtContext,
	}, {
		category: categoryContext, name: report.CheckOfEndpoint,
		look: (*state).lookAtHost,
	}, {
		category: categoryContext, name: "TLS",
		look: (*state).lookAtTLS,
	}, {
		category: categoryContext, name: "API version",
		look: (*state).lookAtAPIVersion,
	}, {
		category: categoryContext, name: "headers",
		look: (*state).lookAtHeaders,
	}}
}

func (s *state) lookAtContext(context.Context) (outcome, error) {
	settings, sources, err := s.Resolve()
	if err != nil {
		return outcome{}, err
	}
	s.settings = settings.From(sources.Host).WithAnswerTimeout(Patience(settings.Transport, s.Timeout))
	s.sources = sources
	return pass("%s, %s", settings.Context, sources.Context)
}

func (s *state) lookAtHost(context.Context) (outcome, error) {
	return pass("%s, %s", s.settings.Host, s.sources.Host)
}

func (s *state) lookAtAPIVersion(context.Context) (outcome, error) {
	if s.sources.APIVersion == "" {
		return pass("negotiated with the engine")
	}
	return pass("%s", s.sources.APIVersion)
}

func (s *state) lookAtHeaders(context.Context) (outcome, error) {
	if s.settings.Headers() == 0 {
		return pass("none of your own")
	}
	return pass("%d of your own, %s", s.settings.Headers(), s.sources.Headers)
}

func (s *state) lookAtTLS(context.Context) (outcome, error) {
	if !s.settings.TLS {
		return pass("off")
	}
	verified := "verified"
	if !s.settings.Verified() {
		verified = "the engine is not verified"
	}
	return pass("on, %s, %s; files %s", verified, s.sources.TLS, s.sources.Files)
}
