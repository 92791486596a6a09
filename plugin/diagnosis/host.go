package diagnosis

import (
	"fmt"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// onHostLoopback is the fault of a server on the host that listens for the host
// alone.
func onHostLoopback(s facts.Server) *report.Fault {
	return &report.Fault{
		Cause:    HostListensOnLoopback,
		Evidence: []string{fmt.Sprintf("on the host, port %d is listened to at %s alone", s.Port, join(s.Listeners.On(s.Port)))},
		Hint:     "have it listen on 0.0.0.0 or on the gateway of the containers' network; of the engines, Docker Desktop alone leads containers to the host's loopback",
	}
}

// notOnHost is the fault of a port of the host that nothing listens on.
func notOnHost(s facts.Server) *report.Fault {
	return &report.Fault{
		Cause:    ServerNotReady,
		Evidence: []string{fmt.Sprintf("nothing listens on port %d of the host", s.Port)},
		Hint:     "start the server, and see that it uses this port",
		Commands: []string{"ss -ltnp"},
	}
}

// toHost: the way from a container to the engine's host.
func (c *vantageCase) toHost(to address, row *report.Probe) *report.Fault {
	switch row.Kind {
	case report.KindHostGateway, report.KindHostAlias, report.KindHostAddress:
	default:
		return nil
	}
	switch {
	case c.vantage.OnlyInternal():
		return c.internal(c.vantage.Networks[0])
	case refused(row) && row.Kind != report.KindHostAddress:
		return c.hostElsewhere(to)
	case dropped(row):
		return c.droppedOnHost(row)
	default:
		return nil
	}
}

// hostElsewhere: an address that should be the host's refuses what the host
// itself listens to.
func (c *vantageCase) hostElsewhere(to address) *report.Fault {
	fault := &report.Fault{
		Cause: HostAliasUnreachable,
		Hint:  "use an address of the host's own instead",
	}
	if l := c.Server.Listeners; l != nil {
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("on the host, port %d is listened to at %s, and %s refuses", c.Server.Port, join(l.On(c.Server.Port)), to.host))
	}
	if c.Engine.Rootless {
		fault.Evidence = append(fault.Evidence, "the gateways of a rootless engine are those of its own network namespace, not of the host")
	}
	return fault
}

// droppedOnHost: nothing came back, although something listens there.
func (c *vantageCase) droppedOnHost(row *report.Probe) *report.Fault {
	fault := &report.Fault{
		Cause:    FirewallDrops,
		Hint:     fmt.Sprintf("let the host's firewall accept what comes from the containers' networks to port %d", c.Server.Port),
		Commands: []string{"iptables -S INPUT", "nft list ruleset"},
	}
	if l := c.Server.Listeners; l != nil && len(l.On(c.Server.Port)) > 0 && !l.OnlyLoopback(c.Server.Port) {
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("on the host, port %d is listened to at %s", c.Server.Port, join(l.On(c.Server.Port))))
	}
	for _, other := range c.all {
		if other.OK && other.Vantage != row.Vantage {
			fault.Evidence = append(fault.Evidence, fmt.Sprintf("it answers from %s at %s", other.Vantage, other.Address))
		}
	}
	if len(fault.Evidence) == 0 {
		return nil
	}
	return fault
}

// answeredElsewhere is a probe from the same vantage that did reach the server.
func (c *vantageCase) answeredElsewhere(row *report.Probe) *report.Probe {
	i := slices.IndexFunc(c.rows, func(p *report.Probe) bool { return p.OK && p.Address != row.Address })
	if i < 0 {
		return nil
	}
	return c.rows[i]
}

// notThisHost is the fault of an address that leads to the engine's own host, where
// nothing listens, while the host that is meant is another one.
func notThisHost(to address, other *report.Probe) *report.Fault {
	return &report.Fault{
		Cause:    HostAliasUnreachable,
		Evidence: []string{fmt.Sprintf("nothing listens on port %d of the host of the engine, and the server answers at %s", to.port, other.Address)},
		Hint:     "use " + other.Address + ": the engine's host is another machine than the one that the server runs on",
	}
}
