package connection

import (
	"net/netip"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/process"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// loopbackFault is for an endpoint that leads this container to itself, where no
// engine is: every dialled address is a loopback address. It is nil if that does not
// explain the failure, such as in a container that shares the network of the
// engine's host, which has a bridge.
func (c *Connection) loopbackFault(seen *trace, err error) *report.Fault {
	if !c.isOwnLoopback(seen) {
		return nil
	}
	links, bridged := process.Interfaces()
	if bridged {
		return nil
	}
	return &report.Fault{
		Cause:    EndpointIsLoopback,
		Evidence: []string{"this process runs in a container", "its network interfaces: " + links, "no bridge is among them, so it is not an engine's host"},
		Hint:     "mount the engine's socket, which gives the container full control of the engine's host, and leave DOCKER_HOST unset, or use an address of the engine's host that containers reach",
		Commands: []string{shell.Line(socketMount, defaultSocket)},
		Err:      sentence.Of(err, "%s leads this container to itself, and no engine listens there", c.settings.Host),
	}
}

// isOwnLoopback says whether this process runs in a container and has dialled only
// loopback addresses.
func (c *Connection) isOwnLoopback(seen *trace) bool {
	if len(seen.dials) == 0 || c.proxy() != nil || !process.InContainer() {
		return false
	}
	for _, d := range seen.dials {
		address, err := netip.ParseAddrPort(d.address)
		if err != nil || !isLoopback(address.Addr()) {
			return false
		}
	}
	return true
}
