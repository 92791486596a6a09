package checks

import (
	"context"
	"errors"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

const categoryEngine = "engine"

// engineChecks are about what answers.
func engineChecks() []check {
	return []check{{
		category: categoryEngine, name: "API versions", needs: []string{"answer"}, ends: true,
		look: (*state).lookAtAPIVersions,
	}, {
		category: categoryEngine, name: report.CheckOfEngine,
		look: (*state).lookAtEngine,
	}, {
		category: categoryEngine, name: "platform", needs: []string{report.CheckOfEngine},
		look: (*state).lookAtPlatform,
	}}
}

func (s *state) lookAtAPIVersions(ctx context.Context) (outcome, error) {
	if s.refusal != nil {
		return outcome{}, s.refusal
	}
	offered, err := s.connection.APIVersions(ctx)
	if err != nil {
		return s.asked(ctx, err)
	}
	if offered.Oldest == "" {
		return pass("the engine serves up to %s, and %s is used", offered.Newest, offered.Used)
	}
	return pass("the engine serves %s to %s, and %s is used", offered.Oldest, offered.Newest, offered.Used)
}

func (s *state) lookAtEngine(ctx context.Context) (outcome, error) {
	described, err := s.connection.Describe(ctx)
	if err != nil {
		return s.asked(ctx, err)
	}
	s.engine = described.Endpoint
	e := s.engine.Engine
	words := []string{strings.TrimSpace(e.Product + " " + e.Version)}
	if e.Rootless {
		words = append(words, "rootless")
	}
	return pass("%s", strings.Join(words, ", "))
}

func (s *state) lookAtPlatform(context.Context) (outcome, error) {
	if s.engine.Engine.OS == "" || s.engine.Engine.Arch == "" {
		return undecided("the engine does not say which")
	}
	platform := s.engine.Engine.OS + "/" + s.engine.Engine.Arch
	_, err := agentimage.Reference(s.Agents, s.engine.Engine.OS, s.engine.Engine.Arch)
	if errors.Is(err, agentimage.ErrNoAgent) {
		return skip("%s; %v", platform, err)
	}
	if err != nil {
		return outcome{}, err
	}
	return pass("%s, for which there is an agent", platform)
}
