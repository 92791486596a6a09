package routing

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest"
)

// many is enough for the kernel to send the list in several parts.
const many = 40

// ownNamespace puts only this test into a new network namespace, and returns a handle on it
// for other threads.
func ownNamespace(t *testing.T) *netlink.Handle {
	t.Helper()
	namespace := enginetest.OwnNetns(t)
	handle, err := netlink.NewHandleAt(namespace)
	assert.NilError(t, err)
	t.Cleanup(handle.Close)
	return handle
}

// addRouted adds an interface that has an address and, with it, a route.
func addRouted(handle *netlink.Handle, number int) (netlink.Link, error) {
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprint("routed", number)}}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 231, byte(number), 1), Mask: net.CIDRMask(24, 32)}}
	return link, errors.Join(handle.LinkAdd(link), handle.LinkSetUp(link), handle.AddrAdd(link, address))
}

func TestListsAreCompleteDuringChanges(t *testing.T) {
	t.Parallel()
	handle := ownNamespace(t)
	for number := range many {
		_, err := addRouted(handle, number)
		assert.NilError(t, err)
	}
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			link, err := addRouted(handle, many)
			if err := errors.Join(err, handle.LinkDel(link)); err != nil {
				stopped <- err
				return
			}
		}
	}()
	lists, interrupted := 0, 0
	for ; interrupted < 5 && lists < 10_000; lists++ {
		if _, err := netlink.LinkList(); errors.Is(err, netlink.ErrDumpInterrupted) {
			interrupted++
		}
		links, err := Links()
		assert.NilError(t, err)
		addresses, err := Addresses(nil)
		assert.NilError(t, err)
		routes, err := Routes()
		assert.NilError(t, err)
		for number := range many {
			name, ip := fmt.Sprint("routed", number), net.IPv4(10, 231, byte(number), 1)
			assert.Assert(t, slices.ContainsFunc(links, func(l netlink.Link) bool { return l.Attrs().Name == name }), name)
			assert.Assert(t, slices.ContainsFunc(addresses, func(a netlink.Addr) bool { return a.IP.Equal(ip) }), ip)
			assert.Assert(t, slices.ContainsFunc(routes, func(r netlink.Route) bool { return r.Dst != nil && r.Dst.Contains(ip) }), ip)
		}
	}
	close(stop)
	assert.NilError(t, <-stopped)
	assert.Assert(t, interrupted > 0, "no list was interrupted: this test proves nothing")
	t.Logf("%d of %d lists that were requested once were interrupted", interrupted, lists)
}
