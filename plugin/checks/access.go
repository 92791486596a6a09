package checks

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// accessChecks look at how a container can get access to the Docker API, by what
// is known: they start no container.
var accessChecks = category("API access from containers", []check{
	{name: "by its socket", dependsOn: []string{report.CheckOfEngine}, run: (*state).checkSocketMount},
	{name: "by the endpoint", dependsOn: []string{"answer"}, run: (*state).checkEndpointInContainer},
})

func (s *state) checkSocketMount(context.Context) (checkResult, error) {
	desktop := s.endpoint.Engine.Desktop
	path := s.settings.SocketOnEngine(desktop)
	if s.self != nil && s.settings.Transport == connection.Unix {
		return s.checkSocketFromHere()
	}
	mount := socketMount(path)
	switch {
	case desktop:
		return pass("%s (a path in the VM of Docker Desktop)", mount)
	case s.settings.Transport != connection.Unix:
		return inconclusive("the path of the engine's socket on its host is not known from here; usually: %s", mount)
	}
	if _, err := os.Stat(path); err != nil {
		return inconclusive("%v", err) // the check "answer" has just used it
	}
	return pass("%s", mount)
}

func socketMount(path string) string {
	return cmp.Or(shell.Line("docker run -v %s:/var/run/docker.sock ...", path), "mount "+strconv.Quote(path))
}

// checkSocketFromHere is about a socket that has been mounted into this container: the
// engine looks for the source of a mount on its own host.
func (s *state) checkSocketFromHere() (checkResult, error) {
	here := s.settings.SocketOnEngine(false)
	path := s.self.OnEngine(here, filepath.EvalSymlinks)
	if path == "" {
		return inconclusive("%s is a path in this container, and it is not known where that is on the engine's host; usually: %s", here, socketMount("/var/run/docker.sock"))
	}
	return pass("%s (in this container it is %s)", socketMount(path), here)
}

func (s *state) checkEndpointInContainer(context.Context) (checkResult, error) {
	_, err := s.settings.CarryIntoContainer()
	if err == nil {
		return pass("%s, sent to the client container over stdin, with any TLS files and headers", s.settings.Host)
	}
	fault := new(report.Fault)
	if !errors.As(err, &fault) {
		return skip("%v", err)
	}
	return warn(fault, "%s", describeFault(fault))
}
