package diagnosis

import "github.com/nestprobe/docker-nestprobe/plugin/report"

var ContainerNetworkRemote = define("container-network-remote", addressOnly, definition{
	title:     "Container addresses cannot be reached: their network is elsewhere",
	bySetting: true,
	explains:  []report.Cause{HostAliasUnreachable, HostAliasMissing},
	rule: func(c *vantageCase, r row) *report.Fault {
		n, ok := c.fromMachine(r)
		_, layer2 := c.layer2FromMachine(r)
		switch {
		case c.toForeignHost(r) && !aliasNotFound(r):
			fault := because("the engine does not run this container, and %s is not known to lead to the engine's host", r.to.host)
			fault.Hint = besideEngine
			return fault
		case c.toEngineHost(r):
			n, place, _ := c.remoteGateway(r)
			return remoteNetwork(n.Name, place, "use the published port on localhost or on the engine's host")
		case layer2:
			return remoteNetwork(n.Name, c.elsewhere(n), "connect the server to a bridge network too, and publish its port: a network of the driver "+n.Driver+" publishes none")
		case ok && !n.Layer2() && c.vantage.Foreign && c.Engine.Host == "":
			return remoteNetwork(n.Name, c.elsewhere(n), besideEngine)
		case ok && !n.Layer2():
			return remoteNetwork(n.Name, c.elsewhere(n), "use the published port: "+c.vantage.Place()+" has no route to the addresses of containers there")
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
