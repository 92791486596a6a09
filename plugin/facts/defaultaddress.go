package facts

import (
	"net"
	"net/netip"
)

// DefaultAddresses returns this machine's own addresses on its default routes, at most one
// of each family.
func DefaultAddresses() []netip.Addr {
	var found []netip.Addr
	for _, destination := range documentationAddresses {
		if ip, ok := sourceAddress(destination); ok {
			found = append(found, ip)
		}
	}
	return found
}

// documentationAddresses are assigned to no machine (RFC 5737 and 3849), so packets to
// them take the default route.
var documentationAddresses = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}

// sourceAddress returns the address from which this machine would send packets to another
// address. Connecting a UDP socket sends none.
func sourceAddress(to netip.Addr) (netip.Addr, bool) {
	connection, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return netip.Addr{}, false
	}
	defer func() { _ = connection.Close() }()
	local, err := netip.ParseAddrPort(connection.LocalAddr().String())
	return local.Addr().Unmap(), err == nil
}
