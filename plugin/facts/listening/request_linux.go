package listening

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// These are defined in the kernel's include/uapi/linux/inet_diag.h and
// include/net/tcp_states.h. Package unix does not have them.
const (
	stateEstablished = 1
	stateSynReceived = 3
	stateFinWait1    = 4
	stateFinWait2    = 5
	stateTimeWait    = 6
	stateClose       = 7 // of a UDP socket: not connected
	stateCloseWait   = 8
	stateLastAck     = 9
	stateListen      = 10
	stateClosing     = 11
	stateNewSyn      = 12 // a handshake that is not complete, since Linux 4.4

	requestSize = 56 // struct inet_diag_req_v2
	messageSize = 72 // struct inet_diag_msg, which attributes follow
)

// request lists the sockets of a protocol that are in one of the states and have the
// local port, of any port if it is 0. It calls add with the kernel's message about each,
// until that returns false. A request is for one family: a socket on [::] that accepts
// both is in IPv6's list. It does not use package netlink's own functions, which do not
// limit the states, and leave out attributes.
func request(protocol uint8, states uint32, port uint16, add func(message []byte) bool) error {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		wanted := make([]byte, requestSize)
		wanted[0], wanted[1] = family, protocol
		binary.NativeEndian.PutUint32(wanted[4:], states)
		binary.BigEndian.PutUint16(wanted[8:], port)
		call := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
		call.AddRawData(wanted)
		var broken error
		err := call.ExecuteIter(unix.NETLINK_SOCK_DIAG, nl.SOCK_DIAG_BY_FAMILY, func(message []byte) bool {
			if broken = check(message); broken != nil {
				return false
			}
			return add(message)
		})
		if err := cmp.Or(err, broken); err != nil {
			return err
		}
	}
	return nil
}

// check says whether a message can be parsed.
func check(message []byte) error {
	switch {
	case len(message) < messageSize:
		return fmt.Errorf("a message about a socket has %d bytes, fewer than %d", len(message), messageSize)
	case message[0] != unix.AF_INET && message[0] != unix.AF_INET6:
		return fmt.Errorf("a message is about a socket of family %d", message[0])
	}
	return nil
}

// inodeOf returns the inode of a message's socket; 0 if no process has it.
func inodeOf(message []byte) uint64 { return uint64(binary.NativeEndian.Uint32(message[68:])) }

// localAddress and remoteAddress return the addresses of a message's socket.
func localAddress(message []byte) netip.AddrPort  { return address(message, 8, 4) }
func remoteAddress(message []byte) netip.AddrPort { return address(message, 24, 6) }

// address reads an address and a port at their offsets in a message.
func address(message []byte, at, port int) netip.AddrPort {
	ip := netip.AddrFrom16([16]byte(message[at:]))
	if message[0] == unix.AF_INET {
		ip = netip.AddrFrom4([4]byte(message[at:]))
	}
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(message[port:]))
}
