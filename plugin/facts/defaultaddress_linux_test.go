package facts

import (
	"net"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"gotest.tools/v3/assert"
)

// A machine without a default route has no address on it; else the address is that of the
// interface to which the route leads.
func TestDefaultAddresses(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread() // never unlocked: the thread and its namespace end with the test
	namespace, err := netns.New()
	assert.NilError(t, err, "this test makes a network namespace, which takes root")
	t.Cleanup(func() { _ = namespace.Close() })
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
