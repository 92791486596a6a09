package checks

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

const categoryAccess = "API access from containers"

// accessChecks are about the ways in which a container can be given the Docker
// API, by what is known: no container is started.
func accessChecks() []check {
	return []check{{
		category: categoryAccess, name: "by its socket", needs: []string{report.CheckOfEngine},
		look: (*state).lookAtMount,
	}, {
		category: categoryAccess, name: "by the endpoint", needs: []string{"answer"},
		hint: "give it the engine's socket, or choose an endpoint by an address of the engine's host that containers reach",
		look: (*state).lookAtCarrying,
	}}
}

func (s *state) lookAtMount(context.Context) (outcome, error) {
	path := s.settings.SocketOnEngine(s.engine.Engine.Desktop)
	mount := fmt.Sprintf("docker run -v %s:/var/run/docker.sock ...", path)
	switch {
	case s.engine.Engine.Desktop:
		return pass("%s (the engine's own path)", mount)
	case s.settings.Transport != connection.Unix:
		return undecided("where the engine's socket is on its own host is not known from here; mostly: %s", mount)
	}
	if _, err := os.Stat(path); err != nil {
		return undecided("%v", err) // it was opened a moment ago
	}
	return pass("%s", mount)
}

func (s *state) lookAtCarrying(context.Context) (outcome, error) {
	_, err := s.settings.CarryIntoContainer()
	if err == nil {
		return pass("%s, with what it needs over the client's stdin: --access endpoint", s.settings.Host)
	}
	fault := new(report.Fault)
	if !errors.As(err, &fault) {
		return skip("%v", err)
	}
	return warn(fault, "%s", what(fault))
}
