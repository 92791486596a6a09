package self

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/network"
	"github.com/moby/sys/mountinfo"
	"github.com/prometheus/procfs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/routing"
)

// readSigns reads the files. What cannot be read hints at nothing.
func readSigns() signs {
	var f files
	f.mounts, _ = mountinfo.GetMounts(nil)
	cgroup, _ := os.ReadFile("/proc/self/cgroup")
	env, err := os.ReadFile(containerEnv)
	f.cgroup, f.containerEnv, f.marked = string(cgroup), string(env), err == nil
	if _, err := os.Stat("/.dockerenv"); err == nil {
		f.marked = true
	}
	return f.signs()
}

// isHere says whether an engine that does not know this process's container is known to run
// in the same network namespace: in a development container with an engine of its own, or
// beside it in a pod. Then its published ports are on this process's localhost. An error
// says which call the engine has not answered.
func (e Endpoint) isHere(ctx context.Context, api API) (bool, error) {
	if e.Host != "" {
		return leadsHere(ctx, e.Host), nil
	}
	if e.Socket != "" && listensHere(ctx, e.Socket) {
		return true, nil
	}
	here := bridges()
	if len(here) == 0 {
		return false, nil
	}
	networks, err := api.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return false, fmt.Errorf("listing networks: %w", err)
	}
	return areOf(networks, here), nil
}

// areOf says whether bridges of this process's network namespace are those of an engine's
// networks. Docker engines give their default networks the same gateway, so that decides only
// if no other network speaks against it: its bridge has a name that holds its ID. Podman
// makes a bridge only with the first container on it.
func areOf(networks []network.Summary, here map[string][]netip.Addr) bool {
	byDefault, missing := false, false
	podman := slices.ContainsFunc(networks, func(n network.Summary) bool { return n.Name == "podman" })
	for _, n := range networks {
		if n.Driver != "bridge" {
			continue
		}
		if _, ok := here[bridgeOf(n)]; ok && n.Name != network.NetworkBridge {
			return true
		}
		for _, addresses := range here {
			byDefault = byDefault || hasGateway(n, addresses)
		}
		missing = missing || !podman && n.Name != network.NetworkBridge
	}
	return byDefault && !missing
}

// bridgeOf returns the name of a network's bridge (moby, libnetwork/drivers/bridge; Podman
// says it in the option that Docker has for it).
func bridgeOf(n network.Summary) string {
	if name := n.Options["com.docker.network.bridge.name"]; name != "" {
		return name
	}
	const digits = 12
	return "br-" + n.ID[:min(digits, len(n.ID))]
}

// leadsHere says whether a host has an address of one of this process's interfaces.
func leadsHere(ctx context.Context, host string) bool {
	own := facts.OwnAddresses()
	return slices.ContainsFunc(addressesOf(ctx, host), func(a netip.Addr) bool { return slices.Contains(own, a) })
}

// hasGateway says whether the gateway of a network is among addresses. Docker leaves out
// that of the default bridge until it has been restarted, so for a network without a
// gateway the first address of its subnet counts.
func hasGateway(n network.Summary, addresses []netip.Addr) bool {
	return slices.ContainsFunc(n.IPAM.Config, func(c network.IPAMConfig) bool {
		gateway := facts.ParseAddr(c.Gateway)
		if subnet, err := netip.ParsePrefix(c.Subnet); err == nil && !gateway.IsValid() {
			gateway = subnet.Masked().Addr().Next()
		}
		return slices.Contains(addresses, gateway)
	})
}

// bridges returns the bridges among this process's interfaces by name, with their addresses.
// A container has none, unless an engine runs in its network namespace.
func bridges() map[string][]netip.Addr {
	links, _ := routing.Links()
	found := map[string][]netip.Addr{}
	for _, link := range links {
		if link.Type() != "bridge" {
			continue
		}
		addresses, _ := routing.Addresses(link)
		for _, a := range addresses {
			if ip, ok := netip.AddrFromSlice(a.IP); ok {
				name := link.Attrs().Name
				found[name] = append(found[name], ip.Unmap())
			}
		}
	}
	return found
}

// engines are the names of the programs that serve Docker's API, and of those that open
// its socket for them. Another program at the socket may be the end of a tunnel.
var engines = []string{"dockerd", "podman", "systemd", "init"}

// listensHere says whether the process that listens at a socket is an engine in this
// process's network namespace. Of a rootless engine, only the process that started it is:
// it forwards the published ports.
func listensHere(ctx context.Context, socket string) bool {
	pid := listener(ctx, socket)
	proc, err := procfs.NewDefaultFS()
	if pid == 0 || err != nil {
		return false
	}
	own, err := proc.Self()
	if err != nil {
		return false
	}
	peer, err := proc.Proc(pid)
	if err != nil {
		return false
	}
	if name, err := peer.Comm(); err != nil || !slices.Contains(engines, name) {
		return false
	}
	if sameNamespace(own, peer, "net") {
		return true
	}
	for !sameNamespace(own, peer, "user") { // of RootlessKit
		stat, err := peer.Stat()
		if err != nil || stat.PPID == 0 {
			return false
		}
		if peer, err = proc.Proc(stat.PPID); err != nil {
			return false
		}
		if sameNamespace(own, peer, "net") {
			return true
		}
	}
	return false
}

// sameNamespace says whether two processes are known to share a namespace. Those of other
// users' processes are known only to root.
func sameNamespace(a, b procfs.Proc, kind string) bool {
	of := func(p procfs.Proc) string {
		link, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", p.PID, kind))
		return link
	}
	own := of(a)
	return own != "" && own == of(b)
}

// listener returns the process that listens at a unix socket; 0 if this process cannot see
// it, since it is outside of this PID namespace (unix(7), SO_PEERCRED).
func listener(ctx context.Context, socket string) int {
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return 0
	}
	defer func() { _ = connection.Close() }()
	opened, ok := connection.(*net.UnixConn)
	if !ok {
		return 0
	}
	raw, err := opened.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	err = raw.Control(func(fd uintptr) {
		if credentials, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(credentials.Pid)
		}
	})
	if err != nil {
		return 0
	}
	return pid
}

// defaultGateways returns the gateways of this process's default routes.
func defaultGateways() []facts.Network {
	routes, _ := routing.Routes()
	var found []facts.Network
	for _, route := range routes {
		gateway, ok := netip.AddrFromSlice(route.Gw)
		if prefix, known := routing.Prefix(route.Dst); !ok || known && prefix.Bits() > 0 {
			continue
		}
		link, err := netlink.LinkByIndex(route.LinkIndex)
		if err != nil {
			continue
		}
		n := facts.Network{Name: strings.TrimSpace(link.Attrs().Name)}
		if gateway = gateway.Unmap(); gateway.Is4() {
			n.GatewayIPv4 = gateway
		} else {
			n.GatewayIPv6 = gateway
		}
		found = append(found, n)
	}
	return found
}
