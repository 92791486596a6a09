package facts

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Engine is what matters of the engine that runs the server.
type Engine struct {
	Host     string // host of a tcp or ssh endpoint; empty for a local one, and for a loopback address
	Loopback bool   // the endpoint is a port of this machine's loopback, which may be one end of a tunnel
	Podman   bool   // Podman behind docker's API
	Major    int    // version of Docker Engine; 0 if it is another product's
	Rootless bool
	Desktop  bool
}

// apart says whether the engine's networks are not those of the machine that its
// endpoint is used on.
func (e Engine) NetworksElsewhere() bool { return e.Host != "" || e.Rootless || e.Desktop }

// place is where the networks of such an engine are.
func (e Engine) Place() string {
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
	Name             string
	Host             bool // it is no container's: it runs on the engine's host, and HostNetwork is set too
	Port             uint16
	Down             *report.Fault // why it cannot answer at all: it has exited, it is paused
	HostNetwork      bool          // it shares the network of the engine's host
	NoNetwork        bool          // it has loopback alone
	Networks         []Network
	Bindings         []Binding            // where Port is published
	PublishRequested bool                 // it was asked to publish Port
	Listeners        *listening.Listeners // of its network namespace; nil where nobody has looked or that failed
	Log              []string             // what it printed last, as evidence; none where nobody has looked
	StartedByUs      bool                 // whoever asks has started it, and removes it
}

// serves says whether the server is known to listen on its port at each of its
// addresses.
func (s Server) Serves() bool {
	return s.Listeners != nil && len(s.Listeners.On(s.Port)) > 0 && !s.Listeners.OnlyLoopback(s.Port) && len(s.Unserved()) == 0
}

// unserved returns the networks on whose addresses nothing takes connections to
// the port, although something listens for more than loopback.
func (s Server) Unserved() []Network {
	if s.Listeners == nil || s.HostNetwork || s.Listeners.Truncated ||
		len(s.Listeners.On(s.Port)) == 0 || s.Listeners.OnlyLoopback(s.Port) {
		return nil
	}
	var unserved []Network
	for _, n := range s.Networks {
		if n.IPv4.IsValid() && !s.Listeners.Serves(netip.AddrPortFrom(n.IPv4, s.Port)) {
			unserved = append(unserved, n)
		}
	}
	return unserved
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
func (n Network) Layer2() bool { return n.Driver == "macvlan" || n.Driver == "ipvlan" }

// beneathAlone says whether each network of the server's is that of a parent
// interface.
func (s Server) OnlyLayer2() bool {
	return len(s.Networks) > 0 && !slices.ContainsFunc(s.Networks, func(n Network) bool { return !n.Layer2() })
}

// has says whether an address is the container's on this network.
func (n Network) Has(ip netip.Addr) bool {
	return ip.IsValid() && (n.IPv4 == ip || n.IPv6 == ip)
}

// Binding is one published port on the engine's host.
type Binding struct {
	HostIP   netip.Addr
	HostPort uint16
}

// String is the binding as docker ps writes it.
func (b Binding) String() string { return netip.AddrPortFrom(b.HostIP, b.HostPort).String() }

// covers says whether a binding is for an address of the host.
func (b Binding) Covers(ip netip.Addr) bool {
	return b.HostIP == ip || b.HostIP.IsUnspecified() && b.HostIP.Is4() == ip.Is4()
}

// Vantage is a place that was asked from.
type Vantage struct {
	Name      string // as the probes have it
	Container bool   // a network namespace of the same engine's; else the machine of this process
	NoNetwork bool
	Networks  []Network
	Routes    []Route      // of the machine of this process to the server's addresses, where they are known
	Addresses []netip.Addr // of that machine's interfaces; none where they are not known
	Small     []SmallAnswer
	Optional  bool // nobody asked for it in particular: that it reaches nothing is no error
}

// lacksFamily says whether a vantage has no address of the family that it would
// need to send anything to an address.
func (v Vantage) LacksFamily(to netip.Addr) bool {
	if !to.Is6() || to.IsLoopback() {
		return false // IPv4 may be missing too, but nobody has seen it yet
	}
	if v.Container {
		return !slices.ContainsFunc(v.Networks, func(n Network) bool { return n.IPv6.IsValid() })
	}
	return len(v.Addresses) > 0 && !slices.ContainsFunc(v.Addresses, func(a netip.Addr) bool {
		return a.Is6() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
	})
}

// SmallAnswer is an address that accepted and was not heard to the end, until it
// was told to send short segments.
type SmallAnswer struct {
	Address string // as its probe has it
	Segment int    // bytes of a segment
	PathMTU int    // bytes that the vantage takes the way for; 0 where its system does not tell
}

// Route is how this machine sends packets to one address.
type Route struct {
	To        netip.Addr
	Interface string
	Prefix    netip.Prefix // the route that was chosen; not valid if the kernel did not tell
	Engine    bool         // the interface is one of the engine's bridges
}

// place is the vantage in a sentence.
func (v Vantage) Place() string {
	kind, name, ok := strings.Cut(v.Name, ":")
	switch {
	case ok:
		return kind + " " + name
	case v.Container:
		return "the " + v.Name + " container"
	default:
		return "this machine"
	}
}

// shared returns the networks that a vantage has in common with the server.
func (v Vantage) SharedNetworks(s Server) []Network {
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
func (v Vantage) OnlyDefaultBridge() bool {
	return len(v.Networks) > 0 && !slices.ContainsFunc(v.Networks, func(n Network) bool { return !n.Default })
}

// internalAlone says whether no network of the vantage's leads anywhere else.
func (v Vantage) OnlyInternal() bool {
	return len(v.Networks) > 0 && !slices.ContainsFunc(v.Networks, func(n Network) bool { return !n.Internal })
}

// network returns the server's network on which it has an address.
func (s Server) NetworkWith(ip netip.Addr) (Network, bool) {
	i := slices.IndexFunc(s.Networks, func(n Network) bool { return n.Has(ip) })
	if i < 0 {
		return Network{}, false
	}
	return s.Networks[i], true
}

// onLoopbackAlone says whether every binding of a host port is on loopback.
func (s Server) OnlyOnLoopback(port uint16) bool {
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
