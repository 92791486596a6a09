package diagnosis

import (
	"fmt"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var PublishedOnRemoteHost = define("published-on-remote-host", addressOnly, definition{
	title:     "The port is published on the engine's host, which is not this machine",
	bySetting: true,
	explains:  []report.Cause{ContainerNetworkRemote, HostAliasUnreachable, HostAliasMissing},
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		if !c.ToThisMachine(r) || c.Engine.Host == "" {
			return nil
		}
		fault := because("the engine is on %s, and publishes ports there", c.Engine.Host)
		fault.Hint = "use " + c.Engine.Host + " instead of localhost"
		if c.refusesAtEngineHost() {
			fault.Evidence = []string{fmt.Sprintf("the endpoint is on %s, and that refuses the published port", c.Engine.Host)}
			fault.Hint = "use the address of the machine that the engine runs on: the endpoint may be that of a proxy before it"
		}
		return fault
	},
})

// refusesAtEngineHost says whether the endpoint's host refused the published port, so that
// it may be where a proxy for the Docker API runs, and not where the engine publishes.
func (c *vantageCase) refusesAtEngineHost() bool {
	return slices.ContainsFunc(c.Rows, func(r evidence.Row) bool {
		return r.Kind == report.KindPublishedEngineHost && r.To.Host == c.Engine.Host && evidence.Refused(r.Failure)
	})
}
