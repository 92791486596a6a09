// Package candidates lists the addresses that could lead to a server, from what is known of
// it and of the place that they are tried from. It does not try them.
package candidates

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Candidate is one address to try.
type Candidate struct {
	Kind    report.Kind
	Address string // host:port
	Reason  string // why it is tried
	// Elsewhere says that nothing leads from the address to the server, as far as the engine
	// knows: what answers there is likely to be another server.
	Elsewhere bool
	// Lookup is netprobe.Attempt.Lookup.
	Lookup time.Duration
}

// hostAlias is the name of the engine's host that people try from everywhere. Docker
// Desktop writes it into the hosts file of the user's machine, with gatewayAlias.
const (
	hostAlias    = "host.docker.internal"
	gatewayAlias = "gateway.docker.internal"
)

// hostsFileLookup is how long this machine may look up hostAlias. Where it has the name, it
// reads it from its hosts file, without a name server. Everywhere else a name server that
// does not answer must not delay the result.
const hostsFileLookup = 50 * time.Millisecond

// ForHost lists the addresses to try from a process on the user's machine, each
// once, in the order of preference.
func ForHost(f facts.Addresses) []Candidate {
	var l List
	if f.HostNetwork {
		l.hostNetwork(f)
	} else {
		l.localhost(f.Bindings)
		l.published(f)
		l.containerIPs(f)
	}
	if f.EngineHost != "" {
		l.elsewhere(report.KindPublishedLocalhost, report.KindPublishedAny)
	}
	if !f.Desktop {
		l.elsewhere(report.KindPublishedHostAlias) // whatever a name server or the hosts file says
	}
	return l.Candidates
}

// HostAliases are the names by which containers can reach their engine's host: those of
// current engines, and those of old versions of Docker Desktop for Mac, which people
// still copy.
var HostAliases = []string{
	hostAlias,
	gatewayAlias,
	"host.containers.internal",      // Podman
	"host.lima.internal",            // Colima and Lima
	"host.rancher-desktop.internal", // Rancher Desktop
	"host.orb.internal",             // OrbStack
	"docker.for.mac.host.internal",
	"docker.for.mac.localhost",
}

// ForContainer lists the addresses to try from a process in a container, each
// once, in the order of preference.
func ForContainer(f facts.Addresses) []Candidate {
	var l List
	if f.Desktop {
		f.HostAddresses = nil // this machine is not the containers' host, which is a VM
	}
	if f.SharesNamespace {
		const reason = "the server listens in this container's own network namespace"
		l.Add(report.KindOwnLocalhost, Loopback4, f.Port, reason)
		l.Add(report.KindOwnLocalhost, Loopback6, f.Port, reason)
	}
	if f.HostNetwork {
		// The server's own port is used like a published one.
		f.Networks = nil
		f.Bindings = []facts.Binding{{HostIP: any4, HostPort: f.Port}, {HostIP: netip.IPv6Unspecified(), HostPort: f.Port}}
	} else {
		for _, name := range f.Names {
			l.AddName(report.KindContainerName, name, f.Port, "the server's name")
		}
	}
	l.containerIPs(f)
	l.gateways(f.Bindings, f.Client, "the gateway of this container on ")
	l.gateways(f.Bindings, f.Networks, "the gateway of the server on ")
	for _, name := range HostAliases {
		l.addPublished(report.KindPublishedHostAlias, name, f.Bindings, "a name of the engine's host")
	}
	l.engineHosts(f)
	l.localhost(f.Bindings)
	l.any(f.Bindings)
	if !f.ClientOnHost {
		l.elsewhere(report.KindPublishedLocalhost, report.KindPublishedAny) // a server in this container may answer
	}
	return l.Candidates
}

// ForForeign lists the addresses to try from a container that the engine does not
// run: it is on none of the engine's networks, and knows none of their names. Only the
// endpoint's host is known to be the engine's.
func ForForeign(f facts.Addresses, gateways []facts.Network) []Candidate {
	f.Names, f.Client, f.SharesNamespace = nil, gateways, false
	all := ForContainer(f)
	for i := range all {
		all[i].Elsewhere = all[i].Kind != report.KindPublishedEngineHost
	}
	return all
}

// The loopback addresses, and the unspecified IPv4 address.
var (
	Loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	Loopback6 = netip.IPv6Loopback()
	any4      = netip.IPv4Unspecified()
)

// localhost tries each family's loopback address with that family's own port: Engine
// 20.10 chooses different ephemeral ports for the two. A family that is not published is
// tried with the port of the other one, because a client of "localhost" does the same,
// and may reach another container there.
func (l *List) localhost(bindings []facts.Binding) {
	for _, b := range bindings {
		switch {
		case b.HostIP.IsUnspecified():
			l.Add(report.KindPublishedLocalhost, loopback(b.HostIP.Is4()), b.HostPort, "published on every address of this family")
		case b.HostIP.IsLoopback():
			l.Add(report.KindPublishedLocalhost, b.HostIP, b.HostPort, "published only on this address")
		}
	}
	for _, b := range bindings {
		if !b.HostIP.IsUnspecified() && !b.HostIP.IsLoopback() {
			continue
		}
		if other := loopback(!b.HostIP.Is4()); !coversLoopback(bindings, other) {
			l.add(Candidate{
				Kind: report.KindPublishedLocalhost, Address: netip.AddrPortFrom(other, b.HostPort).String(),
				Reason: "localhost may mean this family too, which is not published", Elsewhere: true,
			})
		}
	}
}

// elsewhere marks the addresses of some kinds. Those of loopback do not lead to an engine
// that publishes on another machine, unless through a tunnel, or outside of this container.
func (l *List) elsewhere(kinds ...report.Kind) {
	for i, c := range l.Candidates {
		if slices.Contains(kinds, c.Kind) {
			l.Candidates[i].Elsewhere = true
		}
	}
}

// published lists the published port on addresses other than loopback.
func (l *List) published(f facts.Addresses) {
	l.ownAliases(f)
	l.engineHosts(f)
	l.gateways(f.Bindings, f.Networks, "the engine's own address on ")
	l.any(f.Bindings)
}

// ownAliases lists the names of the engine's host that this machine may have.
func (l *List) ownAliases(f facts.Addresses) {
	if f.Desktop {
		for _, name := range []string{hostAlias, gatewayAlias} {
			l.addPublished(report.KindPublishedHostAlias, name, f.Bindings, "Docker Desktop's name of this machine")
		}
		return
	}
	for _, b := range bindingsFor(hostAlias, f.Bindings) {
		l.add(Candidate{
			Kind: report.KindPublishedHostAlias, Address: net.JoinHostPort(hostAlias, strconv.Itoa(int(b.HostPort))),
			Reason: "Docker Desktop's name of the engine's host, which other machines may have too", Lookup: hostsFileLookup,
		})
	}
}

func (l *List) containerIPs(f facts.Addresses) {
	for _, n := range f.Networks {
		l.Add(report.KindContainerIP, n.IPv4, f.Port, "the server's address on "+n.Name)
		l.Add(report.KindContainerIP, n.IPv6, f.Port, "the server's IPv6 address on "+n.Name)
	}
}

func (l *List) gateways(bindings []facts.Binding, networks []facts.Network, reason string) {
	for _, n := range networks {
		for _, b := range bindings {
			gateway := n.GatewayIPv4
			if b.HostIP.Is6() {
				gateway = n.GatewayIPv6
			}
			l.Add(report.KindPublishedGateway, gateway, b.HostPort, reason+n.Name)
		}
	}
}

// any tries the unspecified address, which leads to loopback.
func (l *List) any(bindings []facts.Binding) {
	for _, b := range bindings {
		if b.HostIP == any4 || b.HostIP.Is4() && b.HostIP.IsLoopback() {
			l.Add(report.KindPublishedAny, any4, b.HostPort, "what servers print as their address, and many clients copy")
		}
	}
}

// engineHosts lists the addresses of the engine's host itself.
func (l *List) engineHosts(f facts.Addresses) {
	l.addPublished(report.KindPublishedEngineHost, f.EngineHost, f.Bindings, "the endpoint's host, where the engine publishes")
	l.addPublished(report.KindPublishedEngineHost, f.NodeAddress, f.Bindings, "the engine's address in its Swarm")
	for _, b := range f.Bindings {
		if !b.HostIP.IsUnspecified() && !b.HostIP.IsLoopback() {
			l.Add(report.KindPublishedEngineHost, b.HostIP, b.HostPort, "published only on this address of the engine's host")
			continue
		}
		for _, ip := range f.HostAddresses {
			if ip.Is4() == b.HostIP.Is4() {
				l.Add(report.KindPublishedEngineHost, ip, b.HostPort, "the address of the engine's host on its default route")
			}
		}
	}
}

// addPublished adds a host, by name or address, with the ports that are published for its
// address family, or else with all. Host names mostly resolve to IPv4 addresses.
func (l *List) addPublished(kind report.Kind, host string, bindings []facts.Binding, reason string) {
	if host == "" {
		return
	}
	for _, b := range bindingsFor(host, bindings) {
		l.AddName(kind, host, b.HostPort, reason)
	}
}

// bindingsFor returns the bindings of a host's address family, or else all.
func bindingsFor(host string, bindings []facts.Binding) []facts.Binding {
	ip, err := netip.ParseAddr(host)
	isIPv6 := err == nil && ip.Is6()
	otherFamily := func(b facts.Binding) bool { return b.HostIP.Is6() != isIPv6 }
	if ofFamily := slices.DeleteFunc(slices.Clone(bindings), otherFamily); len(ofFamily) > 0 {
		return ofFamily
	}
	return bindings
}

// hostNetwork lists the addresses of a server that listens on the engine's
// host itself.
func (l *List) hostNetwork(f facts.Addresses) {
	const reason = "the server shares the network of the engine's host"
	l.Add(report.KindPublishedLocalhost, Loopback4, f.Port, reason)
	l.Add(report.KindPublishedLocalhost, Loopback6, f.Port, reason)
	f.Bindings = []facts.Binding{{HostIP: any4, HostPort: f.Port}, {HostIP: netip.IPv6Unspecified(), HostPort: f.Port}}
	l.ownAliases(f)
	l.engineHosts(f)
	l.Add(report.KindPublishedAny, any4, f.Port, reason)
}

// loopback returns the loopback address of IPv4 or IPv6.
func loopback(isIPv4 bool) netip.Addr {
	if isIPv4 {
		return Loopback4
	}
	return Loopback6
}

func coversLoopback(bindings []facts.Binding, loopback netip.Addr) bool {
	return slices.ContainsFunc(bindings, func(b facts.Binding) bool {
		return b.HostIP == loopback || b.HostIP.IsUnspecified() && b.HostIP.Is4() == loopback.Is4()
	})
}
