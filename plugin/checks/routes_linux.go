package checks

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestprobe/docker-nestprobe/plugin/facts/routing"
)

// readHostNetwork reads the main routing table and the addresses of interfaces.
func readHostNetwork() (host hostNetwork, known bool, err error) {
	links, err := routing.Links()
	if err != nil {
		return host, true, err
	}
	names := make(map[int]string, len(links))
	for _, link := range links {
		names[link.Attrs().Index] = link.Attrs().Name
	}
	addresses, err := routing.Addresses(nil)
	if err != nil {
		return host, true, err
	}
	host.interfaces = make(map[netip.Addr]string, len(addresses))
	for _, a := range addresses {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			host.interfaces[ip.Unmap()] = names[a.LinkIndex]
		}
	}
	routes, err := routing.Routes()
	if err != nil {
		return host, true, err
	}
	for _, r := range routes {
		if route, ok := routeOf(r, names); ok {
			host.routes = append(host.routes, route)
		}
	}
	return host, true, nil
}

// routeOf leaves out the default route, which has no prefix in some kernels'
// answers.
func routeOf(r netlink.Route, names map[int]string) (hostRoute, bool) {
	prefix, ok := routing.Prefix(r.Dst)
	if !ok {
		return hostRoute{}, false
	}
	route := hostRoute{prefix: prefix}
	if r.Type == unix.RTN_UNICAST {
		route.device = names[r.LinkIndex]
	}
	if r.Gw != nil {
		route.gateway = r.Gw.String()
	}
	if len(r.MultiPath) > 0 {
		route.device = names[r.MultiPath[0].LinkIndex]
	}
	return route, true
}
