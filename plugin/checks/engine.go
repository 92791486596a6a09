package checks

import (
	"context"
	"errors"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/self"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// engineChecks look at what the engine reports about itself.
var engineChecks = category("engine", []check{
	{name: "API versions", dependsOn: []string{"answer"}, fatal: true, run: (*state).checkAPIVersions},
	{name: report.CheckOfEngine, run: (*state).checkEngine},
	{name: "platform", dependsOn: []string{report.CheckOfEngine}, run: (*state).checkPlatform},
})

func (s *state) checkAPIVersions(ctx context.Context) (checkResult, error) {
	if s.versionFault != nil {
		return checkResult{}, s.versionFault
	}
	offered, err := s.connection.APIVersions(ctx)
	if err != nil {
		return s.requestFailed(ctx, err)
	}
	if offered.Newest == "" {
		return pass("%s is used; the engine does not tell which it serves", offered.Used)
	}
	if offered.Oldest == "" {
		return pass("the engine serves up to %s, and %s is used", offered.Newest, offered.Used)
	}
	return pass("the engine serves %s to %s, and %s is used", offered.Oldest, offered.Newest, offered.Used)
}

func (s *state) checkEngine(ctx context.Context) (checkResult, error) {
	described, err := s.connection.Describe(ctx)
	if err != nil {
		return s.requestFailed(ctx, err)
	}
	s.endpoint = described.Endpoint
	// What it cannot find out only makes the check of the socket less certain.
	s.self, _ = self.Find(ctx, s.connection.API, self.At(s.settings), s.connection.Omitted)
	engine := s.endpoint.Engine
	words := []string{strings.TrimSpace(engine.Product + " " + engine.Version)}
	if words[0] == "" {
		words[0] = "the engine does not tell"
	}
	if engine.Rootless {
		words = append(words, "rootless")
	}
	return pass("%s", strings.Join(words, ", "))
}

func (s *state) checkPlatform(context.Context) (checkResult, error) {
	engine := s.endpoint.Engine
	if engine.OS == "" || engine.Arch == "" {
		return inconclusive("the engine does not report its OS and CPU")
	}
	platform := engine.OS + "/" + engine.Arch
	_, err := agentimage.Reference(s.Agents, engine.OS, engine.Arch)
	if errors.Is(err, agentimage.ErrNoAgent) {
		return skip("%s; %v", platform, err)
	}
	if err != nil {
		return checkResult{}, err
	}
	return pass("%s, and nestprobe has an agent for it", platform)
}
