package keep

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// All addresses of test engines are in 10.231.0.0/16. While an engine is up, a
// route on the machine refuses that range, so that a packet to a container of
// an engine in a namespace never leaves through the default route.
const guardRange = "10.231.0.0/16"

const (
	// guardProtocol and guardMetric mark the route as the keeper's, so that it
	// neither takes over nor removes a route that is not its own.
	guardProtocol = 231
	guardMetric   = 23100
)

// slots is how many address plans fit into the range.
const slots = 64

// plan is the addresses of one engine, none of them used by another.
type plan struct {
	slot int
}

func newPlan(slot int) plan { return plan{slot: slot} }

func planAddr(third, fourth int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 231, byte(third), byte(fourth)}) //nolint:gosec // slots keep them below 256
}

// outside and inside are the two ends of the link to a remote engine.
func (p plan) outside() netip.Addr { return planAddr(p.slot, 1) }
func (p plan) inside() netip.Addr  { return planAddr(p.slot, 2) }

// alias is an address of the link that stands for the machine's loopback address,
// where something translates it.
func (p plan) alias() netip.Addr { return planAddr(p.slot, 3) }

// resolver is where containers send DNS queries, on the loopback interface.
func (p plan) resolver() netip.Addr { return planAddr(p.slot, 53) }

// parent is the subnet of a macvlan network on the engine's parent, room for 60.
// The range is one of the link's that nothing there uses; its route is the more
// specific one. The first address is the neighbour's: engines take it for the gateway
// if none is given, and give it to no container.
func (p plan) parent() netip.Prefix { return netip.PrefixFrom(planAddr(p.slot, 64), 26) }

// parentAddress is the engine's machine in it, the last that an engine gives out.
func (p plan) parentAddress() netip.Addr { return planAddr(p.slot, 126) }

// nested is the address and subnet of the default bridge of an engine in a
// container, whose own engine has no link: room for 125.
func (p plan) nested() netip.Prefix { return netip.PrefixFrom(planAddr(p.slot, 129), 25) }

// bridge is the address and subnet of the default bridge, room for 253.
func (p plan) bridge() netip.Prefix { return netip.PrefixFrom(planAddr(slots+p.slot, 1), 24) }

// pool is where other networks take their subnets from: sixteen of 29 containers.
func (p plan) pool() netip.Prefix { return netip.PrefixFrom(planAddr(2*slots+2*p.slot, 0), 23) }

const poolSize = 27

// loopbackUp makes the loopback interface of a sandbox usable and gives it the
// resolver's address, then starts the resolver.
func (r *running) loopbackUp(ctx context.Context) error {
	err := inside(r.box, func(handle *netlink.Handle) error {
		return setUp(handle, "lo", netip.PrefixFrom(r.plan.resolver(), 32))
	})
	if err != nil {
		return fmt.Errorf("setting up the engine's loopback: %w", err)
	}
	addr := netip.AddrPortFrom(r.plan.resolver(), 53).String()
	_, err = r.box.order(ctx, initRequest{Op: "dns", Addr: addr, Names: r.names})
	return err
}

// linkName is the machine's end of the link; the kernel allows 15 bytes.
func (r *running) linkName() string {
	return "np-" + strings.TrimPrefix(strings.TrimPrefix(r.ID, privatePrefix), "engine-")
}

// linkUp connects a sandbox with the machine. There is no default route, so
// nothing inside reaches further than the machine.
func (r *running) linkUp() error {
	name := r.linkName()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsPid(r.box.cmd.Process.Pid)}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("making the engine's link: %w", err)
	}
	r.onStop(r.linkDown)
	outer, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("making the engine's link: %w", err)
	}
	if err = netlink.AddrAdd(outer, address(netip.PrefixFrom(r.plan.outside(), 24))); err != nil {
		return fmt.Errorf("giving the link an address: %w", err)
	}
	if err = netlink.LinkSetUp(outer); err != nil {
		return fmt.Errorf("setting the link up: %w", err)
	}
	err = inside(r.box, func(handle *netlink.Handle) error {
		return setUp(handle, "eth0", netip.PrefixFrom(r.plan.inside(), 24))
	})
	if err != nil {
		return fmt.Errorf("setting up the engine's side of the link: %w", err)
	}
	return nil
}

// setUp gives an interface an address and sets it up.
func setUp(handle *netlink.Handle, name string, prefix netip.Prefix) error {
	link, err := handle.LinkByName(name)
	if err != nil {
		return err
	}
	if err := handle.AddrAdd(link, address(prefix)); err != nil {
		return err
	}
	return handle.LinkSetUp(link)
}

// linkDown removes the link immediately; it would disappear with the namespace, but a
// moment later.
func (r *running) linkDown(context.Context) error {
	link, err := netlink.LinkByName(r.linkName())
	if err != nil {
		return nil //nolint:nilerr // it was never made, or went with the namespace
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("removing the engine's link: %w", err)
	}
	return nil
}

func inside(box *sandbox, do func(*netlink.Handle) error) error { return insideOf(box.netns(), do) }

// insideOf does something in the network namespace of a path.
func insideOf(path string, do func(*netlink.Handle) error) error {
	namespace, err := netns.GetFromPath(path)
	if err != nil {
		return err
	}
	defer namespace.Close() //nolint:errcheck // a descriptor
	handle, err := netlink.NewHandleAt(namespace, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer handle.Close()
	return do(handle)
}

func address(prefix netip.Prefix) *netlink.Addr {
	return &netlink.Addr{IPNet: ipNet(prefix)}
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{
		IP:   prefix.Addr().AsSlice(),
		Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
	}
}

func guardRoute() *netlink.Route {
	return &netlink.Route{
		Dst:      ipNet(netip.MustParsePrefix(guardRange)),
		Type:     unix.RTN_UNREACHABLE,
		Protocol: guardProtocol,
		Priority: guardMetric,
	}
}

// addGuard puts the guard route in place; it may be there already.
func addGuard() error {
	if err := netlink.RouteAdd(guardRoute()); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("guarding %s: %w", guardRange, err)
	}
	return nil
}

// removeGuard removes the guard route; it may be gone already.
func removeGuard() error {
	err := netlink.RouteDel(guardRoute())
	if err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.EPERM) {
		return err
	}
	return nil
}
