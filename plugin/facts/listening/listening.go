// Package listening reads the sockets of a network namespace: those that listen ([Read]),
// and the connections that have arrived at a port ([ReadTraffic]). The agent reads those
// of its own namespace, and the diagnosis uses what follows from them. It needs no
// privilege and must not know of containers or engines.
package listening

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
)

// ErrUnsupported says that the sockets of this system cannot be read, since it is not
// Linux.
var ErrUnsupported = errors.New("listening sockets can only be read on Linux")

// Listeners are the sockets that listen in a network namespace. Docker's own resolver at
// 127.0.0.11 is not among them.
type Listeners struct {
	Sockets []Socket `json:"sockets"` // of TCP, by port and then by address
	// Truncated says that there are more sockets than Sockets holds.
	Truncated bool `json:"truncated"`
	// Unowned says that Sockets holds those of all processes, since those of the server's
	// container could not be told from the others in the namespace.
	Unowned bool `json:"unowned,omitempty"`

	// UDP are the addresses at which UDP sockets receive from any peer, by port and then by
	// address. Unix are the paths of listening Unix sockets, sorted; one that begins with @
	// is abstract. Both are empty if the kernel does not list them: that none is listed
	// proves nothing.
	UDP  []netip.AddrPort `json:"udp,omitempty"`
	Unix []string         `json:"unix,omitempty"`

	// Addresses are those of the namespace's interfaces that are up; none if they are not
	// known.
	Addresses []netip.Addr `json:"addresses,omitempty"`
}

// LacksAddress says whether the namespace is known not to have an address on an interface that
// is up.
func (l Listeners) LacksAddress(ip netip.Addr) bool {
	return len(l.Addresses) > 0 && !ip.IsLoopback() && !slices.Contains(l.Addresses, ip)
}

// Socket is a TCP socket that listens. Several sockets with the same address and port are
// one Socket.
type Socket struct {
	// Address is the address that the socket is bound to. An IPv4-mapped IPv6 address, as
	// Java uses, is the IPv4 address here.
	Address netip.AddrPort `json:"address"`
	// DualStack says whether a socket on [::] accepts IPv4 too. It is empty for other
	// addresses.
	DualStack DualStack `json:"dualStack,omitempty"`
	// Interface is the index of the only network interface that the socket accepts
	// connections from; 0 for any interface.
	Interface uint32 `json:"interface,omitempty"`
}

// DualStack says whether a socket on [::] accepts IPv4 too.
type DualStack string

// The option IPV6_V6ONLY limits a socket to IPv6 (RFC 3493, section 5.3). Kernels before
// 4.3 do not report it. Few servers set it, so DualStackUnknown is treated like
// DualStackYes.
const (
	DualStackYes     DualStack = "yes"
	DualStackNo      DualStack = "no"
	DualStackUnknown DualStack = "unknown"
)

// loopbackInterface is the index of lo in every network namespace
// (LOOPBACK_IFINDEX in the kernel's include/net/flow.h).
const loopbackInterface = 1

// resolver is the address of Docker's DNS server in the network namespace of a container.
var resolver = netip.AddrFrom4([4]byte{127, 0, 0, 11})

// On returns the addresses that sockets on a port are bound to, sorted; none if nothing
// listens on the port. For whether [::] includes IPv4, see [Listeners.Serves].
func (l Listeners) On(port uint16) []netip.Addr {
	var found []netip.Addr
	for _, s := range l.Sockets {
		if s.Address.Port() == port {
			found = append(found, s.Address.Addr())
		}
	}
	slices.SortFunc(found, netip.Addr.Compare)
	return slices.Compact(found)
}

// None says whether nothing listens on a port. It is false if Truncated is set, since
// another socket may.
func (l Listeners) None(port uint16) bool { return len(l.On(port)) == 0 && !l.Truncated }

// OnlyUDP says whether a UDP socket receives on a port that no TCP socket listens on, and
// that can be reached from outside of the namespace.
func (l Listeners) OnlyUDP(port uint16) bool {
	return l.None(port) && slices.ContainsFunc(l.UDP, func(a netip.AddrPort) bool {
		return a.Port() == port && !a.Addr().IsLoopback()
	})
}

// OnlyLoopback says whether something listens on a port, and all of it only on loopback.
// It is false if Truncated is set, since another socket may listen on the port too.
func (l Listeners) OnlyLoopback(port uint16) bool {
	outside := slices.ContainsFunc(l.Sockets, func(s Socket) bool { return s.Address.Port() == port && !s.loopback() })
	return len(l.On(port)) > 0 && !outside && !l.Truncated
}

// Elsewhere returns the addresses of sockets on other ports that can be reached from
// outside of the namespace, sorted by port and then by address.
func (l Listeners) Elsewhere(port uint16) []netip.AddrPort {
	var found []netip.AddrPort
	for _, s := range l.Sockets {
		if s.Address.Port() != port && !s.loopback() {
			found = append(found, s.Address)
		}
	}
	slices.SortFunc(found, byPort)
	return slices.Compact(found)
}

// Serves says whether a socket listens for connections to one of the namespace's
// addresses. A socket that is limited to an interface counts for all addresses, unless
// the interface is lo: which addresses the other interfaces have is not known.
func (l Listeners) Serves(address netip.AddrPort) bool {
	return slices.ContainsFunc(l.Sockets, func(s Socket) bool {
		return s.Address.Port() == address.Port() && s.serves(address.Addr().Unmap().WithZone(""))
	})
}

// Has says whether a socket is bound to exactly an address.
func (l Listeners) Has(address netip.AddrPort) bool {
	return slices.ContainsFunc(l.Sockets, func(s Socket) bool { return s.Address == address })
}

func (s Socket) serves(address netip.Addr) bool {
	bound := s.Address.Addr()
	switch {
	case s.Interface == loopbackInterface && !address.IsLoopback():
		return false
	case !bound.IsUnspecified():
		return bound == address
	case bound.Is4():
		return address.Is4()
	default:
		return address.Is6() || s.DualStack != DualStackNo
	}
}

func (s Socket) loopback() bool {
	return s.Address.Addr().IsLoopback() || s.Interface == loopbackInterface
}

func byPort(a, b netip.AddrPort) int {
	return cmp.Or(cmp.Compare(a.Port(), b.Port()), a.Addr().Compare(b.Addr()))
}
