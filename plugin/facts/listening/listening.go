// Package listening tells where the TCP servers of a network namespace listen.
// The agent reads the sockets of the namespace that it is put in; whoever has to
// explain why a server is not reached asks what follows from them. It needs no
// privilege and must not know of containers or engines.
package listening

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
)

// ErrUnsupported says that this system's sockets cannot be read: it is not
// Linux.
var ErrUnsupported = errors.New("listening sockets are read on Linux alone")

// Listeners are the TCP sockets that listen in a network namespace, by port and
// then by address. Docker's own resolver at 127.0.0.11 is not among them.
type Listeners struct {
	Sockets []Socket `json:"sockets"`
	// Truncated says that there are more: what is not here may listen all the
	// same.
	Truncated bool `json:"truncated"`
}

// Socket is a TCP socket that listens. Several that share an address and port
// are one.
type Socket struct {
	// Address is what it is bound to. An IPv4 address in IPv6's form, as Java
	// binds, is here as the IPv4 address that it is.
	Address netip.AddrPort `json:"address"`
	// DualStack says of a socket on [::] whether it serves IPv4 too. It is empty
	// for all others.
	DualStack DualStack `json:"dualStack,omitempty"`
	// Interface is the index of the one network interface that connections must
	// come in by; 0 for any.
	Interface uint32 `json:"interface,omitempty"`
}

// DualStack says whether a socket on [::] serves IPv4 too.
type DualStack string

// A socket is asked for IPv6 alone by the option IPV6_V6ONLY (RFC 3493, section
// 5.3). Kernels before 4.3 do not tell; as few servers set it, unknown is to be
// taken for yes.
const (
	DualStackYes     DualStack = "yes"
	DualStackNo      DualStack = "no"
	DualStackUnknown DualStack = "unknown"
)

// loopbackInterface is the index of lo in every network namespace
// (LOOPBACK_IFINDEX in the kernel's include/net/flow.h).
const loopbackInterface = 1

// resolver is where Docker answers a container's name lookups, in the network
// namespace of the container.
var resolver = netip.AddrFrom4([4]byte{127, 0, 0, 11})

// On returns the addresses that are listened on at a port, sorted; none when
// nothing listens there. [::] stands for itself alone: see [Listeners.Serves].
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

// OnlyLoopback says whether something listens on a port, but nothing that can
// be reached from outside of the namespace. It is false when that is not known
// for certain, because sockets were left out.
func (l Listeners) OnlyLoopback(port uint16) bool {
	found := false
	for _, s := range l.Sockets {
		if s.Address.Port() != port {
			continue
		}
		if !s.loopback() {
			return false
		}
		found = true
	}
	return found && !l.Truncated
}

// Elsewhere returns what can be reached from outside of the namespace on other
// ports than this one, sorted by port and then by address.
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

// Serves says whether a connection to one of the namespace's own addresses
// finds a socket that listens. Of sockets that take connections from a single
// interface, only those for lo are known not to serve the other addresses.
func (l Listeners) Serves(address netip.AddrPort) bool {
	return slices.ContainsFunc(l.Sockets, func(s Socket) bool {
		return s.Address.Port() == address.Port() && s.serves(address.Addr().Unmap().WithZone(""))
	})
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
