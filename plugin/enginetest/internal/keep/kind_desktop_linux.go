package keep

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// desktopRecipe is an engine as Docker Desktop has one: in a machine of its
// own, reached by a socket, with published ports forwarded to the machine's
// loopback interface, and the machine itself reached by a name. It is a plain
// dockerd, so it does not say that it is Docker Desktop.
func desktopRecipe() recipe {
	r := engine28Recipe()
	r.kind, r.slot, r.start = Desktop, 2, startDesktop
	r.reach = reachForwarded()
	return r
}

// desktopNames lead to the machine from containers. The last two are of old
// versions of Desktop for Mac.
var desktopNames = []string{
	"host.docker.internal", "gateway.docker.internal",
	"docker.for.mac.host.internal", "docker.for.mac.localhost",
}

func startDesktop(ctx context.Context, r *running) error {
	r.names = map[string]netip.Addr{}
	for _, name := range desktopNames {
		r.names[name] = r.plan.outside()
	}
	if err := r.enclose(ctx); err != nil {
		return err
	}
	if err := r.linkUp(); err != nil {
		return err
	}
	if err := r.limitPorts(ctx); err != nil {
		return err
	}
	if err := r.leadToLoopback(ctx); err != nil {
		return err
	}
	forwarder, err := r.writeRole(roleForwarder)
	if err != nil {
		return err
	}
	// A later argument replaces an earlier one.
	err = r.startDockerd(ctx, "--userland-proxy-path", forwarder, "--host-gateway-ip", r.plan.outside().String())
	r.Host = "unix://" + r.Socket
	return err
}

// writeRole makes a program that dockerd takes for its proxy, with arguments that
// come before dockerd's. The first process of the namespaces is this same program,
// even if its file is gone.
func (r *running) writeRole(role string, args ...string) (string, error) {
	path := r.path(role)
	command := strings.Join(append([]string{"/proc/1/exe"}, args...), " ")
	text := fmt.Sprintf("#!/bin/sh\nexport %s=%s\nexec %s \"$@\"\n", roleVariable, role, command)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil { //nolint:gosec // it is a program
		return "", fmt.Errorf("writing the %s: %w", role, err)
	}
	return path, nil
}

// Every slot has its own ports, because published ports are listened on at the
// machine's loopback address. They are below those that the machine and its engine
// give out (32768 and up).
const (
	firstPort    = 10000
	portsPerSlot = 320
)

// limitPorts makes the engine give out only ports of its slot.
func (r *running) limitPorts(ctx context.Context) error {
	first := firstPort + portsPerSlot*r.plan.slot
	return r.sysctl(ctx, "ipv4/ip_local_port_range", fmt.Sprintf("%d %d", first, first+portsPerSlot-1))
}

// loopbackMark marks packets for the machine's loopback address, and
// is the number of the routing table for them.
const loopbackMark = 231

// leadToLoopback makes the machine's end of the link lead to the machine's
// loopback address, as the names of a Desktop do. It is done with rules inside
// the engine's namespace and one setting of the link, all of which go with the
// namespace: nothing can be left on the machine.
//
// 127.0.0.0/8 is special to the kernel twice: packets with it are dropped
// without route_localnet, and the first routing rule keeps it local.
func (r *running) leadToLoopback(ctx context.Context) error {
	for _, setting := range [][2]string{
		{"ipv4/conf/all/route_localnet", "1"},
		{"ipv4/conf/all/accept_local", "1"},
		{"ipv4/conf/all/rp_filter", "0"},
		{"ipv4/conf/eth0/rp_filter", "0"},
	} {
		if err := r.sysctl(ctx, setting[0], setting[1]); err != nil {
			return err
		}
	}
	machine := filepath.Join("/proc/sys/net/ipv4/conf", r.linkName(), "route_localnet")
	if err := os.WriteFile(machine, []byte("1"), 0o600); err != nil {
		return fmt.Errorf("leading to the machine's loopback address: %w", err)
	}
	if err := inside(r.box, r.routeMarked); err != nil {
		return fmt.Errorf("leading to the machine's loopback address: %w", err)
	}
	for _, rule := range [][]string{
		{"mangle", "MARK", "--set-mark", strconv.Itoa(loopbackMark)},
		{"nat", "DNAT", "--to-destination", loopback.String()},
	} {
		args := append([]string{"--table", rule[0], "--append", "PREROUTING", "--destination", r.plan.outside().String(), "--jump"}, rule[1:]...)
		if err := r.run(ctx, "iptables", args...); err != nil {
			return err
		}
	}
	return nil
}

// routeMarked sends marked packets to the machine, by a rule before the one that
// keeps loopback addresses local.
func (r *running) routeMarked(handle *netlink.Handle) error {
	eth0, err := handle.LinkByName("eth0")
	if err != nil {
		return err
	}
	everywhere := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	route := &netlink.Route{
		LinkIndex: eth0.Attrs().Index, Dst: everywhere, Gw: r.plan.outside().AsSlice(), Table: loopbackMark,
	}
	if err := handle.RouteAdd(route); err != nil {
		return err
	}
	marked := netlink.NewRule()
	marked.Family, marked.Priority, marked.Table, marked.Mark = unix.AF_INET, 1, loopbackMark, loopbackMark
	local := netlink.NewRule()
	local.Family, local.Priority, local.Table = unix.AF_INET, 2, unix.RT_TABLE_LOCAL
	first := netlink.NewRule()
	first.Family, first.Priority, first.Table = unix.AF_INET, 0, unix.RT_TABLE_LOCAL
	for _, rule := range []*netlink.Rule{marked, local} {
		if err := handle.RuleAdd(rule); err != nil {
			return err
		}
	}
	return handle.RuleDel(first)
}
