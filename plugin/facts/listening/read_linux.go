package listening

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

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
func Read() (Listeners, error) { return read(maxSockets, anyInode) }

func read(limit int, wanted func(inode uint64) bool) (Listeners, error) {
	found := collection{limit: limit, seen: map[Socket]struct{}{}}
	add := func(message []byte) bool { return !wanted(inodeOf(message)) || found.add(message) }
	if err := request(unix.IPPROTO_TCP, 1<<stateListen, 0, add); err != nil {
		return Listeners{}, fmt.Errorf("reading the listening sockets from the kernel: %w", err)
	}
	listeners := found.listeners()
	listeners.UDP = readUDP(limit, wanted)
	listeners.Unix = readUnix(limit, wanted)
	listeners.Addresses = ownAddresses()
	return listeners, nil
}

// ownAddresses returns the addresses of the interfaces that are up; none if they cannot be
// read.
func ownAddresses() []netip.Addr {
	interfaces, _ := net.Interfaces()
	var addresses []netip.Addr
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagRunning == 0 { // the other end of a pair may be down
			continue
		}
		found, _ := i.Addrs()
		for _, a := range found {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				addresses = append(addresses, prefix.Addr().Unmap())
			}
		}
	}
	return addresses
}

func anyInode(uint64) bool { return true }

// collection holds the sockets that have been read.
type collection struct {
	limit     int
	seen      map[Socket]struct{}
	truncated bool
}

// add keeps a socket of a message. It is false if there is no room for it.
func (c *collection) add(message []byte) bool { return c.keep(parse(message)) }

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

// attributeV6Only is INET_DIAG_SKV6ONLY of the kernel's include/uapi/linux/inet_diag.h, a
// byte. Package unix does not have it.
const attributeV6Only = 11

const attributeHeader = 4 // struct rtattr: its size and its type, two bytes each

// parse parses the kernel's message about one listening socket.
func parse(message []byte) Socket {
	address := localAddress(message)
	socket := Socket{
		Address:   netip.AddrPortFrom(address.Addr().Unmap(), address.Port()),
		Interface: binary.NativeEndian.Uint32(message[40:]),
	}
	if address.Addr() == netip.IPv6Unspecified() {
		socket.DualStack = dualStack(message[messageSize:])
	}
	return socket
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
