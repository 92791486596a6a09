package listening

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Of a process, the kernel lists the sockets of its network namespace in files below
// /proc/PID/net (proc_pid_net(5)), which any user may read. They have less than netlink: not
// the length of accept queues, and not whether a socket on [::] accepts IPv4.

func (p Process) sockets() (Listeners, error) {
	found := collection{limit: maxSockets, seen: map[Socket]struct{}{}}
	err := p.each(tcpFiles, func(s procSocket) bool {
		if s.state != stateListen {
			return true
		}
		socket := Socket{Address: unmapped(s.local)}
		if socket.Address.Addr() == netip.IPv6Unspecified() {
			socket.DualStack = DualStackUnknown
		}
		return found.keep(socket)
	})
	if err != nil {
		return Listeners{}, fmt.Errorf("reading the listening sockets of process %d: %w", p.PID, err)
	}
	listeners := found.listeners()
	listeners.UDP, listeners.Unix = p.udp(), p.unix()
	return listeners, nil
}

func (p Process) readTraffic(port uint16, leaveOut func(Connection) bool) (Traffic, error) {
	traffic := Traffic{Connections: []Connection{}, Queues: []Queue{}}
	traffic.Counters = readCounters(p.folder())
	err := p.each(tcpFiles, func(s procSocket) bool {
		state, ok := states[s.state]
		if !ok || s.local.Port() != port {
			return true
		}
		connection := Connection{Local: unmapped(s.local), Remote: unmapped(s.remote), State: state, Accepted: s.inode != "0"}
		return leaveOut(connection) || traffic.add(connection)
	})
	if err != nil {
		return Traffic{}, fmt.Errorf("reading the connections of port %d of process %d: %w", port, p.PID, err)
	}
	return traffic, nil
}

// udp returns the addresses of UDP sockets that receive from any peer.
func (p Process) udp() []netip.AddrPort {
	found := map[netip.AddrPort]struct{}{}
	_ = p.each([]string{"udp", "udp6"}, func(s procSocket) bool { // that none is listed proves nothing
		if s.remote.Port() == 0 && s.local.Addr().Unmap() != resolver {
			found[unmapped(s.local)] = struct{}{}
		}
		return len(found) < maxSockets
	})
	return slices.SortedFunc(maps.Keys(found), byPort)
}

// unix returns the paths of listening Unix sockets. The flag of those that listen is
// __SO_ACCEPTCON (net/unix/af_unix.c, unix_seq_show).
func (p Process) unix() []string {
	const accepts, path = "00010000", 7
	var found []string
	_ = p.lines("unix", func(columns []string) bool {
		if len(columns) > path && columns[3] == accepts {
			found = append(found, columns[path])
		}
		return len(found) < maxSockets
	})
	slices.Sort(found)
	return slices.Compact(found)
}

var tcpFiles = []string{"tcp", "tcp6"}

// procSocket is a line of /proc/PID/net/tcp and its like.
type procSocket struct {
	local, remote netip.AddrPort
	state         uint8
	inode         string // 0 for a connection that no process has
}

// each calls do with each socket of some files, until that is false. A system without IPv6
// has no files for it.
func (p Process) each(files []string, do func(procSocket) bool) error {
	for i, name := range files {
		err := p.lines(name, func(columns []string) bool {
			s, ok := parseProc(columns)
			return !ok || do(s)
		})
		if err != nil && (i == 0 || !os.IsNotExist(err)) {
			return err
		}
	}
	return nil
}

// lines calls do with the columns of each line of a file, until that is false.
func (p Process) lines(name string, do func(columns []string) bool) error {
	file, err := os.Open(filepath.Join(p.folder(), name)) //nolint:gosec // a file of the kernel
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if !do(strings.Fields(lines.Text())) {
			return nil
		}
	}
	return lines.Err()
}

func (p Process) folder() string { return filepath.Join("/proc", strconv.Itoa(p.PID), "net") }

// parseProc parses the columns of a socket. It is false for the line of titles.
func parseProc(columns []string) (s procSocket, ok bool) {
	const local, remote, state, inode = 1, 2, 3, 9
	if len(columns) <= inode {
		return s, false
	}
	var localOK, remoteOK bool
	s.local, localOK = parseProcAddress(columns[local])
	s.remote, remoteOK = parseProcAddress(columns[remote])
	number, err := strconv.ParseUint(columns[state], 16, 8)
	s.state, s.inode = uint8(number), columns[inode]
	return s, localOK && remoteOK && err == nil
}

// parseProcAddress parses an address: its words of 32 bits in the byte order of the machine,
// and a port, in hexadecimal.
func parseProcAddress(text string) (netip.AddrPort, bool) {
	words, portText, _ := strings.Cut(text, ":")
	port, err := strconv.ParseUint(portText, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	bytes, err := hex.DecodeString(words)
	if err != nil || len(bytes)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(bytes, 4) {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	ip, ok := netip.AddrFromSlice(bytes)
	return netip.AddrPortFrom(ip, uint16(port)), ok
}
