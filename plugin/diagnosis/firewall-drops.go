package diagnosis

import (
	"fmt"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var FirewallDrops = define("firewall-drops", networkSetting, definition{
	title:    "A firewall drops packets between these endpoints",
	commands: []string{"iptables -S INPUT", "nft list ruleset"},
	explains: []report.Cause{DirectRoutingBlocked},
	rule: func(c *vantageCase, r row) *report.Fault {
		fault := &report.Fault{}
		switch {
		case c.droppedAtEngineHost(r) && !c.isolatedByPodman():
			fault.Evidence = c.publishedElsewhere(r)
			fault.Hint = "have the firewall of the engine's host accept packets from its containers' networks to this port"
			if c.isolatedFromServer() && !c.Engine.Podman {
				fault.Hint += "; an engine without docker-proxy (dockerd --userland-proxy=false) isolates its bridges for published ports too: connect both to one network"
			}
		case toServerOnHost(r) && dropped(r.Failure) && !c.vantage.LacksFamily(r.to.ip):
			fault.Evidence = c.listensOnHost(r)
			suggest(fault, "have the host's firewall accept packets from the containers' networks to port %d", c.Server.Port)
		}
		if len(fault.Evidence) == 0 {
			return nil
		}
		return fault
	},
})

// publishedElsewhere shows that the published port works from somewhere, or that the
// server listens.
func (c *vantageCase) publishedElsewhere(r row) []string {
	for _, other := range c.all {
		if other.OK && parse(other.Address).port == r.to.port && isPublished(other.Kind) {
			return []string{fmt.Sprintf("the same published port answers from %s at %s", other.Vantage, other.Address)}
		}
	}
	if s := c.Server; c.vantage.Container && listensOutside(s) {
		return []string{fmt.Sprintf("%s, and in the container %s", publishedAt(s), listenersOn(s))}
	}
	return nil
}

// listensOnHost shows that the server on the host listens, or answers elsewhere.
func (c *vantageCase) listensOnHost(r row) []string {
	var lines []string
	if listensOutside(c.Server) {
		lines = append(lines, "on the host, "+listenersOn(c.Server))
	}
	for _, other := range c.all {
		if other.OK && other.Vantage != r.Vantage {
			lines = append(lines, fmt.Sprintf("it answers from %s at %s", other.Vantage, other.Address))
		}
	}
	return lines
}
