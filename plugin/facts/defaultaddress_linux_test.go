package facts

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// A machine without a default route has no address on it; else the address is that of the
// interface to which the route leads.
func TestDefaultAddresses(t *testing.T) {
	t.Parallel()
	enginetest.OwnNetns(t)
	assert.Equal(t, len(DefaultAddresses()), 0)

	for i, own := range []string{"10.231.70.2", "10.231.71.2"} {
		link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: []string{"first", "second"}[i]}}
		assert.NilError(t, netlink.LinkAdd(link))
		assert.NilError(t, netlink.LinkSetUp(link))
		assert.NilError(t, netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(own), Mask: net.CIDRMask(24, 32)}}))
	}
	assert.Equal(t, len(DefaultAddresses()), 0)
	assert.NilError(t, netlink.RouteAdd(&netlink.Route{Gw: net.IPv4(10, 231, 71, 1)}))
	assert.Assert(t, slices.Equal(DefaultAddresses(), []netip.Addr{netip.MustParseAddr("10.231.71.2")}), "%v", DefaultAddresses())
}
