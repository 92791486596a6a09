package netprobe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Held are connections that are open, over which nothing was sent. Meanwhile someone who
// sees the sockets of a server can say whether they have arrived there.
type Held struct {
	Connections []HeldConnection // in the order of the addresses

	open []net.Conn // in the same order; nil for one that failed
}

// HeldConnection is one of the connections.
type HeldConnection struct {
	Local  netip.AddrPort `json:"local"`  // of this side; not valid if nothing was connected
	Remote netip.AddrPort `json:"remote"` // the literal address that was dialled
	Closed bool           `json:"closed"` // the other side has closed it, see Look
}

// Opened reports whether the connection was established.
func (c HeldConnection) Opened() bool { return c.Local.IsValid() }

// Hold connects to addresses, "host:port" as in [Target], in parallel, each as [Probe]
// does. It blocks for at most opts.Timeout. The caller closes the connections.
func Hold(ctx context.Context, addresses []string, opts Options) *Held {
	h := &Held{Connections: make([]HeldConnection, len(addresses)), open: make([]net.Conn, len(addresses))}
	var all sync.WaitGroup
	for i, address := range addresses {
		all.Go(func() { h.open[i], h.Connections[i] = hold(ctx, address, opts) })
	}
	all.Wait()
	return h
}

func hold(ctx context.Context, address string, opts Options) (net.Conn, HeldConnection) {
	p := newProber(ctx, Target{Scheme: TCP, Address: address}, opts)
	if p.parse() != nil {
		return nil, HeldConnection{}
	}
	addresses, s := p.resolve(ctx)
	if s != nil {
		return nil, HeldConnection{}
	}
	conn, s := p.connect(ctx, addresses)
	if s != nil {
		return nil, HeldConnection{}
	}
	local, _ := netip.ParseAddrPort(conn.LocalAddr().String())
	return conn, HeldConnection{
		Local:  netip.AddrPortFrom(local.Addr().Unmap().WithZone(""), local.Port()),
		Remote: p.addr,
	}
}

// lookTime is how long a look at a connection waits for its end, which has arrived
// already or not: a read fails with a deadline in the past before it looks.
const lookTime = time.Millisecond

// Look finds out which connections the other side has closed, and returns all. It reads
// and discards what the other side has sent.
func (h *Held) Look() []HeldConnection {
	for i, conn := range h.open {
		if conn != nil && !h.Connections[i].Closed {
			h.Connections[i].Closed = hasEnded(conn)
		}
	}
	return h.Connections
}

func hasEnded(conn net.Conn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(lookTime)) // fails only on a closed connection, where the read fails too
	var discarded [4096]byte
	for {
		if _, err := conn.Read(discarded[:]); err != nil {
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
}

// Close closes the connections.
func (h *Held) Close() {
	for _, conn := range h.open {
		if conn != nil {
			_ = conn.Close() // nothing was sent that could be lost
		}
	}
}
