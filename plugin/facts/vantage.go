package facts

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Vantage is a place that probes were sent from.
type Vantage struct {
	Name      string        // as the probes have it
	Container bool          // a network namespace of the server's engine; else that of this process
	Foreign   bool          // this process is in a container that the server's engine does not run
	Down      *report.Fault // why it reaches nothing at all, whatever its address is
	NoNetwork bool
	Detached  string // as Container has it
	NetworkOf string // the container whose network it shares; empty if it has its own
	OnHost    bool   // a container that shares the network of the engine's host
	Networks  []Network
	Routes    []Route        // from the machine of this process to the server's addresses, if they are known
	Addresses []netip.Addr   // of that machine's interfaces; none if they are not known
	Asked     []SecondAnswer // if no address works from it
	Answerers []string       // who answered instead of the server, as sentences
	Watched   Watched        // what the witness saw of connections from here; empty if nobody looked
	Proxies   Proxies        // of the environment of the container that the user named; nil for none
	Hosts     []ExtraHost    // entries of its hosts file that the user has set
	Roots     Roots          // the authorities that the container trusts which the user named; not known for other places
	Resolver  string         // what the user has set for its resolver, as options of docker run; empty for nothing
	Optional  bool           // the user did not name it: that it reaches nothing may be no error
	Beside    bool           // the user did not name it, and it has no network of the server's
	Exact     bool           // the typed address must work, also if it is only a name of the container
	Typed     string         // the address that the user has typed, as host:port; empty if that is none here
}

// LacksFamily says whether the vantage has no address of the family that it needs to
// send anything to an address. Only IPv6 is looked at: a vantage without IPv4 has not
// been seen.
func (v Vantage) LacksFamily(to netip.Addr) bool {
	if !to.Is6() || to.IsLoopback() {
		return false
	}
	if v.Container {
		return !slices.ContainsFunc(v.Networks, func(n Network) bool { return n.IPv6.IsValid() })
	}
	return len(v.Addresses) > 0 && !slices.ContainsFunc(v.Addresses, func(a netip.Addr) bool {
		return a.Is6() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
	})
}

// Place returns the vantage as a part of a sentence.
func (v Vantage) Place() string {
	kind, name, ok := strings.Cut(v.Name, ":")
	switch {
	case kind == "network":
		return "a container on network " + name
	case ok:
		return kind + " " + name
	case v.Foreign:
		return "this container"
	case v.Container:
		return "the " + v.Name + " container"
	default:
		return "this machine"
	}
}

// SharedNetworks returns the networks that the vantage has in common with the server.
func (v Vantage) SharedNetworks(s Server) []Network {
	var shared []Network
	for _, n := range s.Networks {
		if slices.ContainsFunc(v.Networks, func(own Network) bool { return own.Name == n.Name }) {
			shared = append(shared, n)
		}
	}
	return shared
}

// OnlyDefaultBridge says whether the vantage has no network with DNS for names of
// containers. It is false for a vantage without networks.
func (v Vantage) OnlyDefaultBridge() bool {
	return len(v.Networks) > 0 && !slices.ContainsFunc(v.Networks, func(n Network) bool { return !n.Default })
}

// OnlyInternal says whether each network of the vantage is internal, so that it reaches
// nothing beyond them. It is false for a vantage without networks.
func (v Vantage) OnlyInternal() bool {
	return len(v.Networks) > 0 && !slices.ContainsFunc(v.Networks, func(n Network) bool { return !n.Internal })
}

// Route is how this machine sends packets to one address.
type Route struct {
	To        netip.Addr
	Interface string
	Prefix    netip.Prefix // the route that was chosen; not valid if the kernel did not report it
	Engine    bool         // the interface is one of the engine's bridges
	Rejects   string       // the kind of a route that rejects packets, such as blackhole; then there is no Interface
}

// OwnAddresses returns the addresses of this machine's interfaces; none if the system
// does not list them.
func OwnAddresses() []netip.Addr {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var addresses []netip.Addr
	for _, a := range found {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			addresses = append(addresses, prefix.Addr().Unmap())
		}
	}
	return addresses
}
