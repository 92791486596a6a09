package diagnosis

import (
	"net/netip"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Facts are what is known of one server and of the places it was asked from,
// besides what the probes observed. [Explain] draws on them.
type Facts struct {
	Engine   Engine
	Server   Server
	Vantages []Vantage
}

// Engine is what matters of the engine that runs the server.
type Engine struct {
	Host     string // host of a tcp or ssh endpoint; empty for a local one
	Podman   bool   // Podman behind docker's API
	Major    int    // version of Docker Engine; 0 if it is another product's
	Rootless bool
	Desktop  bool
}

// apart says whether the engine's networks are not those of the machine that its
// endpoint is used on.
func (e Engine) apart() bool { return e.Host != "" || e.Rootless || e.Desktop }

// place is where the networks of such an engine are.
func (e Engine) place() string {
	switch {
	case e.Desktop:
		return "in the VM of Docker Desktop"
	case e.Rootless:
		return "in the network namespace of a rootless engine"
	default:
		return "on the engine's host " + e.Host
	}
}

// Server is the container to be reached, or a server on the engine's host.
type Server struct {
	Name        string
	Host        bool // it is no container's: it runs on the engine's host, and HostNetwork is set too
	Port        uint16
	Down        *Fault // why it cannot answer at all: it has exited, it is paused
	HostNetwork bool   // it shares the network of the engine's host
	NoNetwork   bool   // it has loopback alone
	Networks    []Network
	Bindings    []Binding            // where Port is published
	Wanted      bool                 // it was asked to publish Port
	Listeners   *listening.Listeners // of its network namespace; nil where nobody has looked or that failed
}

// Network is the place of a container on one network, and what the network's
// settings say.
type Network struct {
	Name                     string
	IPv4, IPv6               netip.Addr
	GatewayIPv4, GatewayIPv6 netip.Addr

	Driver      string
	Internal    bool
	Default     bool   // the engine's default bridge, which has no DNS for names of containers
	ICCDisabled bool   // com.docker.network.bridge.enable_icc=false
	GatewayMode string // com.docker.network.bridge.gateway_mode_ipv4; empty for the default, nat
	MTU         int    // bytes; 0 for the engine's default
	Subnets     []netip.Prefix
}

// layer2 says whether a network's containers sit on the parent interface's own
// network, beside the host's stack rather than behind it.
func (n Network) layer2() bool { return n.Driver == "macvlan" || n.Driver == "ipvlan" }

// has says whether an address is the container's on this network.
func (n Network) has(ip netip.Addr) bool {
	return ip.IsValid() && (n.IPv4 == ip || n.IPv6 == ip)
}

// Binding is one published port on the engine's host.
type Binding struct {
	HostIP   netip.Addr
	HostPort uint16
}

// covers says whether a binding is for an address of the host.
func (b Binding) covers(ip netip.Addr) bool {
	return b.HostIP == ip || b.HostIP.IsUnspecified() && b.HostIP.Is4() == ip.Is4()
}

// Vantage is a place that was asked from.
type Vantage struct {
	Name      string // as the probes have it
	Container bool   // a network namespace of the same engine's; else the machine of this process
	NoNetwork bool
	Networks  []Network
	Routes    []Route // of this machine to the server's addresses, where they are known
	Optional  bool    // nobody asked for it in particular: that it reaches nothing is no error
}

// Route is how this machine sends packets to one address.
type Route struct {
	To        netip.Addr
	Interface string
	Prefix    netip.Prefix // the route that was chosen; not valid if the kernel did not tell
	Engine    bool         // the interface is one of the engine's bridges
}

// shared returns the networks that a vantage has in common with the server.
func (v Vantage) shared(s Server) []Network {
	var shared []Network
	for _, n := range s.Networks {
		if slices.ContainsFunc(v.Networks, func(own Network) bool { return own.Name == n.Name }) {
			shared = append(shared, n)
		}
	}
	return shared
}

// onDefaultAlone says whether the vantage has no network with DNS for names of
// containers.
func (v Vantage) onDefaultAlone() bool {
	return len(v.Networks) > 0 && !slices.ContainsFunc(v.Networks, func(n Network) bool { return !n.Default })
}

// internalAlone says whether no network of the vantage's leads anywhere else.
func (v Vantage) internalAlone() bool {
	return len(v.Networks) > 0 && !slices.ContainsFunc(v.Networks, func(n Network) bool { return !n.Internal })
}

// network returns the server's network on which it has an address.
func (s Server) network(ip netip.Addr) (Network, bool) {
	i := slices.IndexFunc(s.Networks, func(n Network) bool { return n.has(ip) })
	if i < 0 {
		return Network{}, false
	}
	return s.Networks[i], true
}

// onLoopbackAlone says whether every binding of a host port is on loopback.
func (s Server) onLoopbackAlone(port uint16) bool {
	found := false
	for _, b := range s.Bindings {
		if b.HostPort == port {
			if !b.HostIP.IsLoopback() {
				return false
			}
			found = true
		}
	}
	return found
}

// of returns the probes from a vantage.
func (v Vantage) of(probes []report.Probe) []*report.Probe {
	var own []*report.Probe
	for i := range probes {
		if probes[i].Vantage == v.Name {
			own = append(own, &probes[i])
		}
	}
	return own
}
