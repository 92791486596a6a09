package diagnosis

import (
	"net/netip"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var ServerUDPOnly = define("server-udp-only", serverState, definition{
	title:    "The server receives UDP on this port, and the probe used TCP",
	explains: []report.Cause{ServerNotReady, ServerListensElsewhere},
	needs:    listeners,
	shownBy:  ListenersCheck,
	rule: func(c *vantageCase, r evidence.Row) *report.Fault {
		s := c.Server
		if !c.IsToServer(r) || !s.Listeners.OnlyUDP(s.Port) {
			return nil
		}
		var on []netip.AddrPort
		for _, a := range s.Listeners.UDP {
			if a.Port() == s.Port {
				on = append(on, a)
			}
		}
		fault := because("no TCP socket listens on port %d, and a UDP socket receives at %s", s.Port, evidence.Join(on))
		suggest(fault, "use a client that speaks UDP, and publish the port as %d/udp: UDP is not probed", s.Port)
		if s.PublishedUDP {
			suggest(fault, "use a client that speaks UDP: the port is published for it, and UDP is not probed")
			return fault
		}
		if !s.Host {
			fault.Commands = command("docker run --publish %s:%s/udp ...", s.Port, s.Port)
		}
		return fault
	},
})
