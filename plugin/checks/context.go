package checks

import (
	"context"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// contextChecks show which settings are used, and the source of each.
var contextChecks = category("context", []check{
	{
		name: "context", fatal: true,
		hint: "choose a context that works: `docker context ls` lists them",
		run:  (*state).checkContext,
	},
	{name: report.CheckOfEndpoint, run: (*state).checkEndpoint},
	{name: "TLS", run: (*state).checkTLS},
	{name: "API version", run: (*state).checkAPIVersion},
	{name: "headers", run: (*state).checkHeaders},
})

func (s *state) checkContext(context.Context) (checkResult, error) {
	settings, sources, err := s.Resolve()
	if err != nil {
		return checkResult{}, err
	}
	s.settings = settings.From(sources.Host).WithAnswerTimeout(AnswerTimeout(settings.Transport, s.Timeout))
	s.sources = sources
	s.endpoint = report.Endpoint{
		Context:   settings.Context,
		Host:      settings.Host,
		Transport: string(settings.Transport),
		TLS:       settings.TLS,
	}
	return pass("%s, %s", settings.Context, sources.Context)
}

func (s *state) checkEndpoint(context.Context) (checkResult, error) {
	return pass("%s, %s", s.settings.Host, s.sources.Host)
}

func (s *state) checkTLS(context.Context) (checkResult, error) {
	if !s.settings.TLS {
		return pass("off")
	}
	verified := "verified"
	if !s.settings.Verified() {
		verified = "not verified"
	}
	return pass("on, %s, %s; files %s", verified, s.sources.TLS, s.sources.Files)
}

func (s *state) checkAPIVersion(context.Context) (checkResult, error) {
	if s.sources.APIVersion == "" {
		return pass("negotiated with the engine")
	}
	return pass("%s", s.sources.APIVersion)
}

func (s *state) checkHeaders(context.Context) (checkResult, error) {
	if s.settings.Headers() == 0 {
		return pass("no custom headers")
	}
	return pass("%d custom, %s", s.settings.Headers(), s.sources.Headers)
}
