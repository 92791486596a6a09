package diagnosis

import (
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var NetworkHostMode = define("network-host-mode", networkSetting, definition{
	title: "The server shares the host's network and publishes nothing",
	hint:  "leave out --network host and publish the port",
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		switch {
		case !c.Server.HostNetwork, c.hostModeFiltered(r), c.ServerReached() && !c.Engine.NetworksElsewhere(): // it does not listen at the others
			return nil
		case c.ToThisMachine(r), c.ToEngineHost(r) && !c.Vantage.OnlyInternal():
			return c.hostMode()
		default:
			return nil
		}
	},
	vantage: func(c *vantageCase) *report.Fault {
		if !c.ServerReached() || !evidence.PublishIgnored(c.Server) || c.Server.PublishByDefault || !c.Server.HostNetwork {
			return nil
		}
		return c.hostMode()
	},
})

func (c *vantageCase) hostMode() *report.Fault {
	s := c.Server
	fault := because("container %s has --network host, so --publish is ignored and port %d is one of the engine's host", s.Name, s.Port)
	fault.Commands = command("docker run --publish %s ...", c.publishPrivately(s.Port))
	if c.Engine.NetworksElsewhere() {
		also(fault, "that network is %s", c.Engine.Place())
	}
	return fault
}
