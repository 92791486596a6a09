package listening

import (
	"net/netip"
	"sync"
)

// Traffic is what can be seen of a TCP port in a network namespace at one moment.
type Traffic struct {
	// Connections are those with the port as their local one, in no order.
	Connections []Connection `json:"connections"`
	// Truncated says that there are more connections than Connections holds.
	Truncated bool     `json:"truncated,omitempty"`
	Queues    []Queue  `json:"queues"` // of the sockets that listen on the port
	Counters  Counters `json:"counters"`
}

// Connection is a connection that a client has opened to the port.
type Connection struct {
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote"`
	State  State          `json:"state"`
	// Accepted says that a process has accepted it. An open connection that is not
	// accepted waits in the accept queue. A closed one has no process any more.
	Accepted bool `json:"accepted"`
}

// State is how far a connection has come.
type State string

// The states of a connection, each of which stands for several of TCP's (RFC 9293,
// section 3.3.2).
const (
	// StateHandshake: the client has not completed the handshake, the accept queue is
	// full, or the server has the kernel wait for data (TCP_DEFER_ACCEPT).
	StateHandshake State = "handshake"
	StateOpen      State = "open"
	// StateClientClosed: the client has closed it first, and StateServerClosed: the server.
	StateClientClosed State = "client-closed"
	StateServerClosed State = "server-closed"
)

// Queue is the accept queue of a listening socket: connections that no process has
// accepted yet.
type Queue struct {
	Address netip.AddrPort `json:"address"`
	Length  uint32         `json:"length"`
	Limit   uint32         `json:"limit"` // with more connections than this, handshakes are dropped
}

// Full says whether the queue takes no further connection.
func (q Queue) Full() bool { return q.Length > q.Limit }

// Counters are those of the whole namespace, since it was created, for all ports. A value
// is 0 if the kernel does not report it. The names of the kernel are those of
// /proc/net/snmp and /proc/net/netstat.
type Counters struct {
	Opened    uint64 `json:"opened"`    // connections that arrived and were established (PassiveOpens)
	Overflows uint64 `json:"overflows"` // handshakes that a full accept queue dropped (ListenOverflows)
	Resets    uint64 `json:"resets"`    // segments that were answered with a reset (OutRsts)
}

// ReadTraffic reads the connections of a TCP port in the network namespace of the calling
// thread. It needs what [Read] needs, and fails as it does.
func ReadTraffic(port uint16) (Traffic, error) {
	return readTraffic(port, func(Connection) bool { return false })
}

// TrafficReader reads the connections that have come since a baseline. A server may have
// thousands that are open, and as many that it has closed and that its kernel remembers
// for a minute. Its methods can be called in parallel.
type TrafficReader struct {
	read  func(port uint16, leaveOut func(Connection) bool) (Traffic, error) // nil for the calling thread's namespace
	mu    sync.Mutex
	known map[ends]bool // at the baseline
}

// ends are the local and the remote address of a connection.
type ends [2]netip.AddrPort

// Baseline reads the traffic of a port. It lists no connection, and Traffic leaves out
// those that are there now.
func (r *TrafficReader) Baseline(port uint16) (Traffic, error) {
	known := map[ends]bool{}
	traffic, err := r.reader()(port, func(c Connection) bool {
		known[ends{c.Local, c.Remote}] = true
		return true
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = known
	return traffic, err
}

// Traffic reads the traffic of a port, without the connections that were there at the last
// baseline. It fails as ReadTraffic does.
func (r *TrafficReader) Traffic(port uint16) (Traffic, error) {
	r.mu.Lock()
	known := r.known
	r.mu.Unlock()
	return r.reader()(port, func(c Connection) bool { return known[ends{c.Local, c.Remote}] })
}

func (r *TrafficReader) reader() func(uint16, func(Connection) bool) (Traffic, error) {
	if r.read == nil {
		return readTraffic
	}
	return r.read
}
