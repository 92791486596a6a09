package listening

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

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
