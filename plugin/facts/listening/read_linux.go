package listening

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// maxSockets bounds what is kept and sent: a host with thousands of published
// ports is below it, and they make 0.3 MB of JSON. In a namespace with 99,500
// listeners Read took 0.1 s on two busy cores and 23 MB, most of it given back.
const maxSockets = 10_000

// Read lists the TCP sockets that listen in the network namespace of the calling
// thread. It asks the kernel by netlink (sock_diag(7)), which any process may do
// for the namespace that it is in: no user, capability or /proc is needed for it.
// It gives up when the kernel says nothing for a minute.
//
// With an error nothing is known of what listens. That is so where the kernel
// was built without CONFIG_INET_DIAG, which is not the default, where a seccomp
// profile forbids netlink, which Docker's and Podman's do not, and in gVisor's
// sandbox (google/gvisor, issue 2114).
func Read() (Listeners, error) { return read(maxSockets) }

func read(limit int) (Listeners, error) {
	found := collection{limit: limit, seen: map[Socket]struct{}{}}
	// A request is for one family; a [::] that serves both is among IPv6's.
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		if err := found.add(family); err != nil {
			return Listeners{}, fmt.Errorf("asking the kernel for the sockets that listen: %w", err)
		}
	}
	return found.listeners(), nil
}

// collection is what has been found.
type collection struct {
	limit     int
	seen      map[Socket]struct{}
	truncated bool
}

// add asks for the sockets of a family. Of netlink's library this takes the part
// that talks alone: netlink.SocketDiagTCP asks for every connection there is and
// leaves out whether [::] serves IPv4.
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

// keep says whether there is room for more.
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
	l := Listeners{Sockets: make([]Socket, 0, len(c.seen)), Truncated: c.truncated}
	for socket := range c.seen {
		l.Sockets = append(l.Sockets, socket)
	}
	slices.SortFunc(l.Sockets, func(a, b Socket) int {
		return cmp.Or(byPort(a.Address, b.Address), cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.DualStack, b.DualStack))
	})
	return l
}
