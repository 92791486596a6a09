package target

import (
	"context"
	"net"
	"net/netip"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ofHost examines a server on the engine's host, which for Docker Desktop is the
// user's machine: which address leads to it from a container.
func (e *targetDiagnosis) ofHost(ctx context.Context) error {
	port := e.target.Port
	e.server = facts.Server{Name: "the host", Host: true, HostNetwork: true, Port: port}
	e.report.Servers = []report.Server{{Name: experiment.VantageHost, Port: port, Networks: []report.Network{}, Published: []report.PortBinding{}}}
	if err := e.chooseHostPlaces(ctx); err != nil {
		return err
	}
	if err := e.ask(ctx, e.lookAtHost, e.hostCandidates); err != nil {
		return err
	}
	e.conclude()
	return nil
}

// chooseHostPlaces are those that the user named, or the default bridge.
func (e *targetDiagnosis) chooseHostPlaces(ctx context.Context) error {
	if len(e.target.From) > 0 {
		return e.choosePlaces(ctx)
	}
	bridge, err := e.defaultBridge(ctx)
	if err != nil {
		return err
	}
	e.add(e.onNetwork(bridge, false))
	return nil
}

// lookAtHost lists the sockets of the host that containers mean by it. Where the
// engine's networks are not those of its own machine, that is this one.
func (e *targetDiagnosis) lookAtHost(ctx context.Context, p *place) error {
	listeners, err := e.sockets(ctx, p, func() (listening.Listeners, error) {
		if engine := e.description.Endpoint.Engine; engine.Desktop || engine.Rootless {
			return listening.Read()
		}
		return engine.HostSockets(ctx, e.engine.API, e.image, e.labels)
	})
	return e.listen(ctx, listeners, err)
}

// hostCandidates are the addresses at which a place might find the host.
func (e *targetDiagnosis) hostCandidates(p *place) []experiment.Candidate {
	port := e.target.Port
	var l experiment.CandidateList
	if p.vantage.Container == "" {
		l.Add(report.KindHostAddress, experiment.Loopback4, port, "this machine's own loopback")
		l.Add(report.KindHostAddress, experiment.Loopback6, port, "this machine's own loopback")
	}
	for _, n := range p.found.Addresses.Networks {
		l.Add(report.KindHostGateway, n.GatewayIPv4, port, "the gateway of this container on "+n.Name)
		l.Add(report.KindHostGateway, n.GatewayIPv6, port, "the gateway of this container on "+n.Name)
	}
	if p.vantage.Container != "" {
		for _, name := range experiment.HostAliases {
			l.AddName(report.KindHostAlias, name, port, "an engine's name of its host")
		}
	}
	for _, ip := range e.hostAddresses() {
		l.Add(report.KindHostAddress, ip, port, "an address of the host's own")
	}
	if host := e.engine.Host; host != "" {
		l.AddName(report.KindHostAddress, host, port, "the endpoint's host")
	}
	return l.Candidates
}

// hostAddresses are the host's own addresses, where it is known to be this machine:
// those of the interfaces that lead out of it.
func (e *targetDiagnosis) hostAddresses() []netip.Addr {
	if e.engine.Host != "" || e.engine.Loopback {
		return nil
	}
	var found []netip.Addr
	for _, target := range elsewhere {
		if ip, ok := sourceAddress(target); ok {
			found = append(found, ip)
		}
	}
	return found
}

// elsewhere are addresses that are nobody's (RFC 5737 and 3849), to which the way
// is that to anywhere else.
var elsewhere = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}

// sourceAddress is the address of this machine from which packets would go to
// another one. Connecting a UDP socket sends none.
func sourceAddress(to netip.Addr) (netip.Addr, bool) {
	connection, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return netip.Addr{}, false
	}
	defer func() { _ = connection.Close() }()
	local, err := netip.ParseAddrPort(connection.LocalAddr().String())
	return local.Addr().Unmap(), err == nil
}
