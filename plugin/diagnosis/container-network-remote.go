package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var ContainerNetworkRemote = define("container-network-remote", addressOnly, definition{
	title:     "Container addresses cannot be reached: their network is elsewhere",
	bySetting: true,
	explains:  []report.Cause{HostAliasUnreachable, HostAliasMissing},
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		n, ok := c.FromMachine(r)
		_, layer2 := c.Layer2FromMachine(r)
		switch {
		case c.ToForeignHost(r) && !evidence.AliasNotFound(r):
			fault := because("the engine does not run this container, and %s is not known to lead to the engine's host", r.To.Host)
			fault.Hint = besideEngine
			return fault
		case c.ToEngineHost(r):
			n, place, _ := c.RemoteGateway(r)
			return remoteNetwork(n.Name, place, "use the published port on localhost or on the engine's host")
		case layer2:
			return remoteNetwork(n.Name, c.Elsewhere(n), "connect the server to a bridge network too, and publish its port: a network of the driver "+n.Driver+" publishes none")
		case ok && !n.Layer2() && c.Vantage.Foreign && c.Engine.Host == "":
			return remoteNetwork(n.Name, c.Elsewhere(n), besideEngine)
		case ok && !n.Layer2():
			return remoteNetwork(n.Name, c.Elsewhere(n), "use the published port: "+c.Vantage.Place()+" has no route to the addresses of containers there")
		default:
			return nil
		}
	},
})

// besideEngine is what to do in a container that the engine does not run, if the endpoint
// does not say where that publishes ports.
const besideEngine = "use the published port at the address of the machine or container in which the engine runs, or run the client in a container of that engine"

// remoteNetwork is the fault of a network that is not on this machine; none without a
// place.
func remoteNetwork(name, place, hint string) *report.Fault {
	if place == "" {
		return nil
	}
	fault := because("network %s is %s", name, place)
	fault.Hint = hint
	return fault
}
