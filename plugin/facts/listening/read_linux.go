package listening

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// maxSockets bounds how many sockets are kept and sent. They are 0.3 MB of JSON, and a
// host with thousands of published ports has fewer. In a namespace with 99,500
// listening sockets, Read took 0.1 s on two busy cores, and allocated 23 MB.
const maxSockets = 10_000

// Read lists the TCP sockets that listen in the network namespace of the calling thread.
// It reads them from the kernel by netlink (sock_diag(7)), which any process may do for
// its own namespace: it needs no special user, capability or /proc. It returns an error
// if the kernel does not answer for a minute.
//
// After an error nothing is known about the sockets. Read fails if the kernel was built
// without CONFIG_INET_DIAG, which is not the default; if a seccomp profile forbids
// netlink, which those of Docker and Podman do not; and in gVisor's sandbox
// (google/gvisor, issue 2114).
func Read() (Listeners, error) { return read(maxSockets) }

func read(limit int) (Listeners, error) {
	found := collection{limit: limit, seen: map[Socket]struct{}{}}
	// A request is for one family. A socket on [::] that accepts both is in IPv6's list.
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		if err := found.add(family); err != nil {
			return Listeners{}, fmt.Errorf("reading the listening sockets from the kernel: %w", err)
		}
	}
	return found.listeners(), nil
}

// collection holds the sockets that have been read.
type collection struct {
	limit     int
	seen      map[Socket]struct{}
	truncated bool
}

// add requests the sockets of a family. It does not use netlink.SocketDiagTCP, which
// requests every connection too and does not return whether [::] accepts IPv4.
func (c *collection) add(family uint8) error {
	request := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	request.AddRawData(listenersOf(family))
	var broken error
	err := request.ExecuteIter(unix.NETLINK_SOCK_DIAG, nl.SOCK_DIAG_BY_FAMILY, func(message []byte) bool {
		var socket Socket
		if socket, broken = parse(message); broken != nil {
			return false
		}
		return c.keep(socket)
	})
	return cmp.Or(err, broken)
}

// keep adds a socket. It is false if there is no room for it.
func (c *collection) keep(socket Socket) bool {
	if _, known := c.seen[socket]; known || socket.Address.Addr() == resolver {
		return true
	}
	if len(c.seen) == c.limit {
		c.truncated = true
		return false
	}
	c.seen[socket] = struct{}{}
	return true
}

func (c *collection) listeners() Listeners {
	sockets := slices.AppendSeq([]Socket{}, maps.Keys(c.seen))
	slices.SortFunc(sockets, func(a, b Socket) int {
		return cmp.Or(byPort(a.Address, b.Address), cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.DualStack, b.DualStack))
	})
	return Listeners{Sockets: sockets, Truncated: c.truncated}
}

// These are defined in the kernel's include/uapi/linux/inet_diag.h and
// include/net/tcp_states.h. Package unix does not have them.
const (
	stateListen     = 10 // TCP_LISTEN
	attributeV6Only = 11 // INET_DIAG_SKV6ONLY, a byte

	requestSize     = 56 // struct inet_diag_req_v2
	messageSize     = 72 // struct inet_diag_msg, which attributes follow
	attributeHeader = 4  // struct rtattr: its size and its type, two bytes each
)

// listenersOf returns the request for the listening TCP sockets of a family. Fields that
// are zero match any socket.
func listenersOf(family uint8) []byte {
	request := make([]byte, requestSize)
	request[0], request[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(request[4:], 1<<stateListen)
	return request
}

// parse parses the kernel's message about one socket.
func parse(message []byte) (Socket, error) {
	if len(message) < messageSize {
		return Socket{}, fmt.Errorf("a message about a socket has %d bytes, fewer than %d", len(message), messageSize)
	}
	var address netip.Addr
	switch family := message[0]; family {
	case unix.AF_INET:
		address = netip.AddrFrom4([4]byte(message[8:]))
	case unix.AF_INET6:
		address = netip.AddrFrom16([16]byte(message[8:]))
	default:
		return Socket{}, fmt.Errorf("a message is about a socket of family %d", family)
	}
	socket := Socket{
		Address:   netip.AddrPortFrom(address.Unmap(), binary.BigEndian.Uint16(message[4:])),
		Interface: binary.NativeEndian.Uint32(message[40:]),
	}
	if address == netip.IPv6Unspecified() {
		socket.DualStack = dualStack(message[messageSize:])
	}
	return socket, nil
}

// dualStack reads from the attributes of a socket on [::] whether it accepts IPv4.
func dualStack(attributes []byte) DualStack {
	for len(attributes) >= attributeHeader {
		size := int(binary.NativeEndian.Uint16(attributes))
		kind := binary.NativeEndian.Uint16(attributes[2:])
		if size < attributeHeader || size > len(attributes) {
			break
		}
		if kind == attributeV6Only && size > attributeHeader {
			if attributes[attributeHeader] == 0 {
				return DualStackYes
			}
			return DualStackNo
		}
		aligned := (size + attributeHeader - 1) &^ (attributeHeader - 1)
		attributes = attributes[min(aligned, len(attributes)):]
	}
	return DualStackUnknown
}
