package routing

import (
	"errors"
	"net"
	"net/netip"

	"github.com/cenkalti/backoff/v4"
	"github.com/vishvananda/netlink"
)

// attempts bounds how often a list is asked for. Where bridges came and went all
// the time, 3 lists in 100 were interrupted (the test of this package).
const attempts = 20

// Links are the interfaces. An error that is [netlink.ErrDumpInterrupted] says
// that they never stood still, and comes with the last list.
func Links() ([]netlink.Link, error) { return whole(netlink.LinkList) }

// Addresses are those of a link, or of all for nil, of both families. The errors
// are those of [Links].
func Addresses(link netlink.Link) ([]netlink.Addr, error) {
	return whole(func() ([]netlink.Addr, error) { return netlink.AddrList(link, netlink.FAMILY_ALL) })
}

// Routes are those of the main table, of both families. The errors are those of
// [Links].
func Routes() ([]netlink.Route, error) {
	return whole(func() ([]netlink.Route, error) { return netlink.RouteList(nil, netlink.FAMILY_ALL) })
}

// whole asks for a list until nothing changes meanwhile.
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

// Prefix is a destination as package netip has it; false for none.
func Prefix(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(ip.Unmap(), bits), ok
}
