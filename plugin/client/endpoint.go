package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// socketInContainer is where the engine's socket is mounted: docker's default, which
// clients without settings use.
const socketInContainer = "/var/run/docker.sock"

// carryEndpoint encodes the endpoint that a client with an access uses, secrets
// included. The error is about the user's endpoint, which may be of no use in a
// container; it may be a [*report.Fault].
func (o Options) carryEndpoint(access Access) (json.RawMessage, error) {
	switch access {
	case AccessEndpoint:
		return o.Endpoint.CarryIntoContainer()
	case AccessDind:
		return connection.NewSettings("", nestedHost).Carry()
	default:
		return connection.NewSettings("", "unix://"+socketInContainer).Carry()
	}
}

// mustDescribe says whether the mount of the socket depends on the engine's description: its
// path, if that is another one for Docker Desktop, or what the engine does about a missing one.
func (r *run) mustDescribe() bool {
	settings := r.options.Endpoint
	path := r.options.SocketPath != "" || settings.SocketOnEngine(true) == settings.SocketOnEngine(false)
	return !path || r.engine.Product == nil || r.engine.Product() == ""
}

// socketPath is the path of the engine's socket on the engine's host.
func (r *run) socketPath() string {
	if r.options.SocketPath != "" {
		return r.options.SocketPath
	}
	return r.options.Endpoint.SocketOnEngine(r.description.Endpoint.Engine.Desktop)
}

// checkSocket looks for the socket on this machine, if the engine is here. Elsewhere, and
// in a container, it trusts a path that was given.
func (o Options) checkSocket(path string, self *facts.Self) error {
	if o.Endpoint.Transport == connection.Unix && self == nil {
		_, err := os.Stat(path)
		return err
	}
	if o.SocketPath == "" {
		return errors.New("the path of the engine's socket on the engine's host is not known")
	}
	return nil
}

// createsMissingSources says whether the engine creates a directory for the missing
// source of a mount. Podman's API for docker clients does (seen with 4.3).
func (r *run) createsMissingSources() bool {
	product := r.description.Endpoint.Engine.Product
	if !r.mustDescribe() {
		product = r.engine.Product()
	}
	return strings.HasPrefix(product, "Podman")
}

// missingSource matches an engine's refusal to mount a missing source: dockerd's
// (volume/mounts, errBindSourceDoesNotExist) and Podman's (statfs, ENOENT). Both have
// the status of any bad request.
var missingSource = regexp.MustCompile(`bind source path does not exist|statfs .*: no such file or directory`)

func isSourceMissing(err error) bool { return err != nil && missingSource.MatchString(err.Error()) }

func (r *run) socketMissingFault(err error) *report.Fault {
	return &report.Fault{
		Cause:    connection.SocketPathNotOnEngine,
		Evidence: []string{err.Error()},
		Hint:     "give the path that the engine's socket has on the engine's host",
		Err:      fmt.Errorf("there is no %s on the engine's host", r.socketPath()),
	}
}
