package facts

import (
	"net"
	"net/netip"
)

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
