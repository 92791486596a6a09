package routing

import (
	"errors"
	"net"
	"net/netip"

	"github.com/cenkalti/backoff/v4"
	"github.com/vishvananda/netlink"
)

// attempts bounds how often a list is requested. While bridges were created and removed
// all the time, 3 lists in 100 were interrupted (in the test of this package).
const attempts = 20

// Links returns the interfaces. The error [netlink.ErrDumpInterrupted] says that the list
// changed during each attempt; the last list is returned with it.
func Links() ([]netlink.Link, error) { return whole(netlink.LinkList) }

// Addresses returns the addresses of a link, or of all links for nil, of both families.
// The errors are those of [Links].
func Addresses(link netlink.Link) ([]netlink.Addr, error) {
	return whole(func() ([]netlink.Addr, error) { return netlink.AddrList(link, netlink.FAMILY_ALL) })
}

// Routes returns the routes of the main table, of both families. The errors are those of
// [Links].
func Routes() ([]netlink.Route, error) {
	return whole(func() ([]netlink.Route, error) { return netlink.RouteList(nil, netlink.FAMILY_ALL) })
}

// whole requests a list until it does not change meanwhile.
func whole[T any](list func() ([]T, error)) (last []T, err error) {
	err = backoff.Retry(func() error {
		last, err = list()
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return backoff.Permanent(err)
		}
		return err
	}, backoff.WithMaxRetries(&backoff.ZeroBackOff{}, attempts-1))
	return last, err
}

// Prefix converts the destination of a route; false if it has none.
func Prefix(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(ip.Unmap(), bits), ok
}
