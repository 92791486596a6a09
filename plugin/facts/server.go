package facts

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Server is the container to be reached, or a server on the engine's host.
type Server struct {
	Name             string
	Host             bool // it is not in a container: it runs on the engine's host, and HostNetwork is set too
	Port             uint16
	Down             *report.Fault // why it cannot answer at all, such as that it has exited or is paused
	HostNetwork      bool          // it shares the network of the engine's host
	NoNetwork        bool          // it has only loopback
	Networks         []Network
	Bindings         []Binding            // where Port is published
	PublishedUDP     bool                 // Port is published for UDP
	PublishedToo     []uint16             // other TCP ports of the container that it publishes, which are other services then
	PublishRequested bool                 // it was started with Port to be published
	PublishByDefault bool                 // nobody has named a port to publish: that it is not published is no fault by itself
	Listeners        *listening.Listeners // of its network namespace; nil if they were not read or could not be
	Queues           []listening.Queue    // of the sockets that listen on Port; none if they were not read
	Log              []string             // the last lines that it printed, as evidence; none if its log was not read
	PublishedBy      []Publisher          // of the port of a server on the engine's host: the containers that publish it
	NetworkOf        string               // the container whose network it shares, and which commands on its networks have to name; empty if it has its own
	OwnLocalhost     bool                 // the user has typed localhost for a client, which it is then
	MeantInstead     []OtherServer        // servers with the same port that the user may mean then
	UnknownAddress   netip.Addr           // what the user has typed is no known address of the engine's host or of a container; else not valid
	RedirectedTo     uint16               // the port at which connections to Port arrive by a rule in the server's network namespace; 0 if they arrive at Port
	StartedByUs      bool                 // this command has started it, and removes it
}

// OtherServer is a server that the user may mean.
type OtherServer struct {
	Address string // host:port for the client; empty if it has no network in common with it
	Where   string // as a part of a sentence
}

// Publisher is a container that publishes a port of the engine's host.
type Publisher struct {
	Container string    // its name
	Port      uint16    // in the container
	Bindings  []Binding // of that port of the host
}

// PublishedOnlyOnLoopback says whether containers publish the port of a server on the
// engine's host, and all on loopback.
func (s Server) PublishedOnlyOnLoopback() bool {
	beyond := func(p Publisher) bool {
		return slices.ContainsFunc(p.Bindings, func(b Binding) bool { return !b.HostIP.IsLoopback() })
	}
	return len(s.PublishedBy) > 0 && !slices.ContainsFunc(s.PublishedBy, beyond)
}

// String returns the container and its port as the user gives them to diagnose.
func (p Publisher) String() string { return fmt.Sprintf("%s:%d", p.Container, p.Port) }

// NewServer returns what an inspection says of a server.
func NewServer(name string, port uint16, found Container) Server {
	return Server{
		Name:             name,
		Port:             port,
		HostNetwork:      found.HostNetwork,
		NoNetwork:        found.NoNetwork,
		Networks:         found.Networks,
		Bindings:         found.Bindings,
		PublishRequested: found.PublishRequested,
		PublishedUDP:     found.PublishedUDP,
		PublishedToo:     found.PublishedToo,
	}
}

// Serves says whether the server is known to listen on its port at each of its
// addresses.
func (s Server) Serves() bool {
	return s.Listeners != nil && len(s.Listeners.On(s.Port)) > 0 && !s.Listeners.OnlyLoopback(s.Port) && len(s.Unserved()) == 0
}

// ListensOnlyOnIPv6 says whether what listens on the port serves every IPv6 address, and no
// IPv4 one. It needs Listeners.
func (s Server) ListensOnlyOnIPv6() bool {
	anyOf := func(ip netip.Addr) bool { return s.Listeners.Serves(netip.AddrPortFrom(ip, s.Port)) }
	return anyOf(netip.IPv6Unspecified()) && !anyOf(netip.IPv4Unspecified())
}

// ListensOutsideLoopback says whether the server is known to listen on its port for more
// than loopback.
func (s Server) ListensOutsideLoopback() bool {
	return s.Listeners != nil && len(s.Listeners.On(s.Port)) > 0 && !s.Listeners.OnlyLoopback(s.Port)
}

// Unserved returns the networks on whose addresses nothing listens on the port,
// although something listens on it for more than loopback.
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

// OnlyLayer2 says whether each network of the server is a layer 2 network of a parent
// interface (see Network.Layer2). It is false for a server without networks.
func (s Server) OnlyLayer2() bool {
	return len(s.Networks) > 0 && !slices.ContainsFunc(s.Networks, func(n Network) bool { return !n.Layer2() })
}

// OnlyInternal says whether each network of the server is internal. It is false for a
// server without networks.
func (s Server) OnlyInternal() bool {
	return len(s.Networks) > 0 && !slices.ContainsFunc(s.Networks, func(n Network) bool { return !n.Internal })
}

// NetworkWith returns the network on which an address is the server's; false if none
// is.
func (s Server) NetworkWith(ip netip.Addr) (Network, bool) {
	i := slices.IndexFunc(s.Networks, func(n Network) bool { return n.Has(ip) })
	if i < 0 {
		return Network{}, false
	}
	return s.Networks[i], true
}

// Has says whether an address is the server's on one of its networks.
func (s Server) Has(ip netip.Addr) bool {
	_, ok := s.NetworkWith(ip)
	return ok
}

// OnlyOnLoopback says whether every binding of a host port is on loopback. It is false
// for a port without bindings.
func (s Server) OnlyOnLoopback(port uint16) bool {
	others := func(b Binding) bool { return b.HostPort != port }
	bindings := slices.DeleteFunc(slices.Clone(s.Bindings), others)
	return len(bindings) > 0 && !slices.ContainsFunc(bindings, func(b Binding) bool { return !b.HostIP.IsLoopback() })
}

// Binding is one published port on the engine's host.
type Binding struct {
	HostIP   netip.Addr
	HostPort uint16
}

// String returns the binding as docker ps prints it.
func (b Binding) String() string { return netip.AddrPortFrom(b.HostIP, b.HostPort).String() }

// Publish is the value of --publish that publishes a container port as b does: at the
// same address, so that a port that is only on loopback stays there.
func (b Binding) Publish(containerPort uint16) string {
	if b.HostIP.IsUnspecified() {
		return fmt.Sprintf("%d:%d", b.HostPort, containerPort)
	}
	return fmt.Sprintf("%s:%d", b, containerPort)
}

// Covers says whether the binding includes an address of the host.
func (b Binding) Covers(ip netip.Addr) bool {
	return b.HostIP == ip || b.HostIP.IsUnspecified() && b.HostIP.Is4() == ip.Is4()
}

// Publishes says whether a port of the engine's host leads to the server.
func (s Server) Publishes(port uint16) bool {
	return slices.ContainsFunc(s.Bindings, func(b Binding) bool { return b.HostPort == port })
}

// PublishedAt says whether a port of an address of the engine's host leads to the server.
// The kernel connects to 127.0.0.1 instead of 0.0.0.0.
func (s Server) PublishedAt(ip netip.Addr, port uint16) bool {
	if ip == netip.IPv4Unspecified() {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return slices.ContainsFunc(s.Bindings, func(b Binding) bool { return b.HostPort == port && b.Covers(ip) })
}
