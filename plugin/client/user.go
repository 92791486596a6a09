package client

import (
	"strconv"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// The users of client containers.
const (
	root   = "0:0"
	nobody = "65534:65534"
)

// setUser sets the user of a client container: root, to which the engine's socket belongs.
// A relay, which serves others and may be kept, is nobody where that is enough: with the
// endpoint, or with the group of the socket.
func (r *run) setUser(c engine.AgentContainer, access Access) {
	c.Config.User = root
	switch group, ok := r.socketGroup(); {
	case r.options.User != "":
		c.Config.User = r.options.User
	case !r.options.Relay:
	case access == AccessEndpoint, access == AccessNone:
		c.Config.User = nobody
	case access == AccessSocket && ok:
		c.Config.User, c.HostConfig.GroupAdd = nobody, []string{strconv.Itoa(group)}
	}
}

// socketGroup returns the group that may use the engine's socket. It is known if the engine
// runs on this machine, and has its IDs: the root of a rootless engine is this machine's
// user, and on a Desktop engine the socket is in its VM.
func (r *run) socketGroup() (gid int, ok bool) {
	known := r.description.Endpoint.Engine
	here := r.engine.Self == nil && r.options.Endpoint.Transport == connection.Unix
	if !here || known.Rootless || known.Desktop {
		return 0, false
	}
	return groupWithAccess(r.socketPath())
}
