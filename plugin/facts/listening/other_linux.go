package listening

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"net/netip"

	"golang.org/x/sys/unix"
)

// readUDP returns the addresses of UDP sockets that are not connected to a peer; none if
// the kernel does not list them, since it was built without CONFIG_INET_UDP_DIAG.
func readUDP(limit int, wanted func(inode uint64) bool) []netip.AddrPort {
	var found []netip.AddrPort
	err := request(unix.IPPROTO_UDP, 1<<stateClose, 0, func(message []byte) bool {
		local := localAddress(message)
		local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
		if local.Addr() != resolver && local.Port() != 0 && wanted(inodeOf(message)) && !slices.Contains(found, local) {
			found = append(found, local)
		}
		return len(found) < limit
	})
	if err != nil {
		return nil
	}
	slices.SortFunc(found, byPort)
	return found
}

// acceptsConnections is the flag of a listening socket in /proc/net/unix
// (__SO_ACCEPTCON, include/uapi/linux/net.h).
const acceptsConnections = 1 << 16

// readUnix returns the paths of listening Unix sockets; none if the system does not list
// them. The columns are those of proc_pid_net(5): Num RefCount Protocol Flags Type St
// Inode Path. Sockets belong to the namespace in which they were opened.
func readUnix(limit int, wanted func(inode uint64) bool) []string {
	text, err := os.ReadFile("/proc/thread-self/net/unix")
	if err != nil {
		return nil
	}
	var paths []string
	for line := range strings.Lines(string(text)) {
		columns := strings.Fields(line)
		if len(columns) < 8 || len(paths) == limit {
			continue
		}
		flags, err := strconv.ParseUint(columns[3], 16, 64)
		inode, _ := strconv.ParseUint(columns[6], 10, 64)
		if err == nil && flags&acceptsConnections != 0 && wanted(inode) {
			paths = append(paths, strings.Join(columns[7:], " "))
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
