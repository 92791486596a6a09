package engine

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"slices"
)

// private are the private address ranges (RFC 1918), those first that engines choose
// from too.
var private = []netip.Prefix{
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("10.0.0.0/8"),
}

// freeBits is the prefix length, in bits, of a subnet that is chosen here. It has room for
// 253 containers.
const freeBits = 24

// freeIPv4 returns a private subnet that overlaps none of those taken. It begins at a
// random one, so that two processes at the same time choose different ones. below
// returns a number from 0 up to, but not including, its argument.
func freeIPv4(taken []netip.Prefix, below func(int) int) (netip.Prefix, bool) {
	for _, pool := range private {
		count := 1 << (freeBits - pool.Bits())
		first := below(count)
		for i := range count {
			if subnet := subnetOf(pool, (first+i)%count); !overlapsAny(subnet, taken) {
				return subnet, true
			}
		}
	}
	return netip.Prefix{}, false
}

// subnetOf returns the subnet of an IPv4 pool with this number, from 0.
func subnetOf(pool netip.Prefix, number int) netip.Prefix {
	octets := pool.Addr().As4()
	base := binary.BigEndian.Uint32(octets[:])
	binary.BigEndian.PutUint32(octets[:], base+uint32(number)<<(32-freeBits)) //nolint:gosec // below the pool's size
	return netip.PrefixFrom(netip.AddrFrom4(octets), freeBits)
}

// freeIPv6 returns a unique local subnet (RFC 4193, section 3.2: fd, 40 random
// bits, a subnet id) that overlaps none of those taken.
func freeIPv6(taken []netip.Prefix) netip.Prefix {
	for {
		var octets [16]byte
		octets[0] = 0xfd
		_, _ = rand.Read(octets[1:6]) // never returns an error (crypto/rand, since Go 1.24)
		if subnet := netip.PrefixFrom(netip.AddrFrom16(octets), 64); !overlapsAny(subnet, taken) {
			return subnet
		}
	}
}

func overlapsAny(subnet netip.Prefix, taken []netip.Prefix) bool {
	return slices.ContainsFunc(taken, subnet.Overlaps)
}

func haveOverlap(subnets, taken []netip.Prefix) bool {
	return slices.ContainsFunc(subnets, func(subnet netip.Prefix) bool { return overlapsAny(subnet, taken) })
}
