package diagnosis

import (
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

var ICCDisabled = define("icc-disabled", networkSetting, definition{
	title:    "The network does not let its containers reach each other",
	explains: []report.Cause{FirewallDrops, ForwarderAcceptsAlone, DirectRoutingBlocked},
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		n, ok := c.DroppedWithin(r)
		if !ok || !n.ICCDisabled {
			return nil
		}
		fault := because("network %s has com.docker.network.bridge.enable_icc=false", n.Name)
		fault.Hint = "connect both to a network that lets its containers reach each other" + c.orPublished()
		fault.Commands = c.newNetworkCommands()
		if strings.HasPrefix(c.Vantage.Name, "container:") {
			// Else the server's name may still lead to its address on this network.
			suggest(fault, "connect both to a network that lets its containers reach each other, and disconnect the client from this one%s", c.orPublished())
			fault.Commands = append(fault.Commands, shell.Line("docker network disconnect %s %s", n.Name, c.clientName()))
		}
		return fault
	},
})
