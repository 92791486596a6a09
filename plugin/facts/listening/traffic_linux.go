package listening

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxConnections bounds how many connections of a port are kept and sent. They are 0.5 MB
// of JSON.
const maxConnections = 4000

// states are TCP's states of a connection that a server has not finished, as Traffic has
// them.
var states = map[uint8]State{
	stateSynReceived: StateHandshake,
	stateNewSyn:      StateHandshake,
	stateEstablished: StateOpen,
	stateCloseWait:   StateClientClosed,
	stateLastAck:     StateClientClosed,
	stateFinWait1:    StateServerClosed,
	stateFinWait2:    StateServerClosed,
	stateClosing:     StateServerClosed,
	stateTimeWait:    StateServerClosed,
}

// readTraffic reads the connections of a TCP port in the network namespace of the calling
// thread, without those that are to be left out.
func readTraffic(port uint16, leaveOut func(Connection) bool) (Traffic, error) {
	traffic := Traffic{Connections: []Connection{}, Queues: []Queue{}}
	wanted := uint32(1 << stateListen)
	for state := range states {
		wanted |= 1 << state
	}
	// The counters are read first: a connection that arrives meanwhile is in the list and
	// not yet counted, and not the other way round.
	traffic.Counters = readCounters("/proc/thread-self/net")
	err := request(unix.IPPROTO_TCP, wanted, port, func(message []byte) bool {
		if message[1] == stateListen {
			traffic.Queues = append(traffic.Queues, Queue{
				Address: unmapped(localAddress(message)),
				Length:  binary.NativeEndian.Uint32(message[56:]),
				Limit:   binary.NativeEndian.Uint32(message[60:]),
			})
			return true
		}
		connection := Connection{
			Local:    unmapped(localAddress(message)),
			Remote:   unmapped(remoteAddress(message)),
			State:    states[message[1]],
			Accepted: inodeOf(message) != 0, // the inode of the process's file
		}
		return leaveOut(connection) || traffic.add(connection)
	})
	if err != nil {
		return Traffic{}, fmt.Errorf("reading the connections of port %d from the kernel: %w", port, err)
	}
	return traffic, nil
}

// add keeps a connection. It is false if there is no room for it.
func (t *Traffic) add(c Connection) bool {
	if len(t.Connections) == maxConnections {
		t.Truncated = true
		return false
	}
	t.Connections = append(t.Connections, c)
	return true
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// readCounters reads the counters from a folder such as /proc/self/net; each is 0 if the
// system does not have it.
func readCounters(folder string) Counters {
	tcp := counters(folder+"/snmp", "Tcp:")
	more := counters(folder+"/netstat", "TcpExt:")
	return Counters{Opened: tcp["PassiveOpens"], Resets: tcp["OutRsts"], Overflows: more["ListenOverflows"]}
}

// counters reads the counters of a protocol: a line with their names and one with their
// values, both of which begin with the protocol.
func counters(path, protocol string) map[string]uint64 {
	found := map[string]uint64{}
	text, err := os.ReadFile(path) //nolint:gosec // one of two files of the kernel
	if err != nil {
		return found
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		columns := strings.Fields(line)
		switch {
		case len(columns) == 0 || columns[0] != protocol:
		case names == nil:
			names = columns
		default:
			for i, name := range names[:min(len(names), len(columns))] {
				found[name], _ = strconv.ParseUint(columns[i], 10, 64) // Tcp's MaxConn is -1
			}
		}
	}
	return found
}
