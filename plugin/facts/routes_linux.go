package facts

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestprobe/docker-nestprobe/plugin/facts/routing"
)

// Routes returns how this machine sends packets to the addresses of a container, as the
// kernel chooses the route. Addresses for which the kernel reports none are left out.
func Routes(networks []Network) []Route {
	var routes []Route
	for _, n := range networks {
		for _, ip := range []netip.Addr{n.IPv4, n.IPv6} {
			if !ip.IsValid() {
				continue
			}
			if route, ok := routeTo(ip, n); ok {
				routes = append(routes, route)
			}
		}
	}
	return routes
}

func routeTo(ip netip.Addr, n Network) (Route, bool) {
	found, err := netlink.RouteGet(ip.AsSlice())
	if err != nil || len(found) == 0 {
		return rejectingRoute(ip)
	}
	link, err := netlink.LinkByIndex(found[0].LinkIndex)
	if err != nil {
		return Route{}, false
	}
	addresses, err := routing.Addresses(link)
	if err != nil {
		return Route{}, false
	}
	route := Route{To: ip, Interface: link.Attrs().Name}
	for _, address := range addresses {
		own, _ := netip.AddrFromSlice(address.IP)
		if own = own.Unmap(); own == n.GatewayIPv4 || own == n.GatewayIPv6 {
			route.Engine = true
		}
	}
	route.Prefix = prefixOver(ip, found[0].LinkIndex)
	return route, true
}

// rejectingRoute returns the most specific route of the main table that rejects packets to an
// address.
func rejectingRoute(ip netip.Addr) (Route, bool) {
	kinds := map[int]string{unix.RTN_BLACKHOLE: "blackhole", unix.RTN_UNREACHABLE: "unreachable", unix.RTN_PROHIBIT: "prohibit"}
	rejecting := Route{To: ip}
	all, _ := routing.Routes()
	for _, route := range all {
		prefix, ok := routing.Prefix(route.Dst)
		if kind := kinds[route.Type]; ok && kind != "" && prefix.Contains(ip) && prefix.Bits() >= rejecting.Prefix.Bits() {
			rejecting.Prefix, rejecting.Rejects = prefix, kind
		}
	}
	return rejecting, rejecting.Rejects != ""
}

// shortestPrefix is the prefix length, in bits, of the largest subnet that counts as a
// network. Shorter ones, such as the /1 routes that VPN clients add, stand for a default
// route.
const shortestPrefix = 8

// RoutedSubnets returns the subnets that this machine has routes to. Routes that reject
// packets are left out: no network is behind them that a new subnet could hide.
func RoutedSubnets() []netip.Prefix {
	var subnets []netip.Prefix
	all, _ := routing.Routes()
	for _, route := range all {
		if subnet, ok := routing.Prefix(route.Dst); ok && subnet.Bits() >= shortestPrefix && route.Type == unix.RTN_UNICAST {
			subnets = append(subnets, subnet)
		}
	}
	return subnets
}

// prefixOver returns the most specific route of an interface that covers an address.
func prefixOver(ip netip.Addr, link int) netip.Prefix {
	var longest netip.Prefix
	all, _ := routing.Routes()
	for _, route := range all {
		if prefix, ok := routing.Prefix(route.Dst); ok && route.LinkIndex == link && prefix.Contains(ip) && prefix.Bits() >= longest.Bits() {
			longest = prefix
		}
	}
	return longest
}
