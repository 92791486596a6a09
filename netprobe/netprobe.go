// Package netprobe finds out what happens when a client connects to one address
// and sends one request. [Probe] resolves, connects, sends the request over HTTP,
// HTTPS or plain TCP, opens a WebSocket if the target has one, checks which server
// answered, and returns what it observed as a [Result]: the phase reached, a
// [Failure] from a fixed vocabulary, and the time each phase took. [ConnectFailure]
// and [CertificateFailure] classify the errors of other clients in the same way.
//
// [Race] probes several addresses of one server in parallel, retries those of a server
// that is not ready, and ends soon after the first answer.
//
// The package keeps no state. Its functions may be called from several goroutines in
// parallel; they block until their result is there, and start nothing that outlives them.
// No function returns an error: what went wrong is in the Result. Durations are
// [time.Duration] in Go, and milliseconds in the JSON of a Result.
//
// It never guesses why: explaining a failure takes facts about engines and
// networks that this package does not have. It imports nothing of Docker, so that
// other programs can use it as a library.
//
// What a server sends is untrusted: reads are bounded in bytes and in time, and
// all text of a Result has passed through [Visible].
package netprobe

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"syscall"
	"time"
)

// Phase is the last step that a probe began.
type Phase string

// The phases of a probe, in the order in which they are reached.
const (
	PhaseResolve   Phase = "resolve"
	PhaseConnect   Phase = "connect"
	PhaseTLS       Phase = "tls"
	PhaseRequest   Phase = "request" // connected, no byte of an answer yet
	PhaseAnswer    Phase = "answer"  // the status line, the headers or the body
	PhaseWebSocket Phase = "websocket"
)

// After says whether the phase comes after another one. "" comes before all.
func (p Phase) After(other Phase) bool { return slices.Index(phases, p) > slices.Index(phases, other) }

// phases are those of a probe, in the order in which they are reached.
var phases = []Phase{PhaseResolve, PhaseConnect, PhaseTLS, PhaseRequest, PhaseAnswer, PhaseWebSocket}

// Identity says whether the server that answered is the expected one.
type Identity string

// The identities of a server that answered. No probe is witnessed: that takes someone who
// sees the server's sockets while a connection is held open, see [Hold].
const (
	IdentityVerified   Identity = "verified"   // it sent the expected identity
	IdentityWitnessed  Identity = "witnessed"  // the connection was seen at the server
	IdentityMismatch   Identity = "mismatch"   // another server answered
	IdentityUnverified Identity = "unverified" // no identity was expected, or no server answered
)

// WebSocket is the outcome of the WebSocket part of a probe.
type WebSocket string

// The outcomes of the WebSocket part.
const (
	WebSocketOK      WebSocket = "ok"
	WebSocketFailed  WebSocket = "failed"
	WebSocketSkipped WebSocket = "skipped" // the target has none, or it was not reached
)

// IdentityHeader is the response header in which a server sends its identity.
const IdentityHeader = "Nestprobe-Identity"

// Timings says how long the phases of a probe took. A phase that was not
// reached is zero. FirstByte counts from the moment when the connection (TLS
// included) was established.
type Timings struct {
	Resolve   time.Duration
	Connect   time.Duration
	FirstByte time.Duration
	Total     time.Duration
}

// The defaults of Options.
const (
	// DefaultTimeout is many times what a container on the same machine or in a
	// VM on it needs, and short enough for a retry while a user waits.
	DefaultTimeout = time.Second

	// DefaultSettle is how long a TCP connection must stay open to count. A port
	// forwarder with nothing behind it closes as soon as its own connection is
	// refused: docker-proxy after 0.1 ms at the median and 5 ms at the most
	// (measured, 2000 times on a busy machine); one that crosses into a VM takes
	// some milliseconds more. A probe whose Timeout leaves less than this cannot
	// succeed on a server that sends nothing.
	DefaultSettle = 100 * time.Millisecond

	// DefaultBodyLimit holds a body of 64 KiB. That takes many full packets, so
	// that a path that drops full packets shows.
	DefaultBodyLimit = 64 << 10

	// DefaultUserAgent says who probes, for the log of a server.
	DefaultUserAgent = "nestprobe"
)

// Options are the bounds and the means of a probe. The zero value is usable. A probe only
// reads them, so that several probes may share them.
type Options struct {
	Timeout   time.Duration // one attempt, all phases; 0 is DefaultTimeout
	Lookup    time.Duration // the lookup of the address's name; 0 is as long as Timeout
	Settle    time.Duration // how long a silent TCP connection must stay open; 0 is DefaultSettle
	TLS       *tls.Config   // for HTTPS; nil verifies against the system's roots and the address's host
	Resolver  *net.Resolver // nil is net.DefaultResolver
	BodyLimit int64         // bytes of the body (TCP: of the first bytes) that are read; 0 is DefaultBodyLimit

	// UserAgent is sent with HTTP requests and with the one that opens a WebSocket; "" is
	// DefaultUserAgent. A User-Agent among the headers of the target goes before it.
	UserAgent string

	// DialContext connects to one literal address, such as "192.0.2.1:80" on "tcp"; nil is
	// that of a [net.Dialer]. It must respect the deadline of its context. Its errors are
	// classified as those of package net. Several goroutines may call it in parallel.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// Control is called for each socket before it connects, as [net.Dialer.Control] is. A
	// DialContext leaves it unused. [LimitSegments] is one.
	Control func(network, address string, c syscall.RawConn) error
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Settle <= 0 {
		o.Settle = DefaultSettle
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.BodyLimit <= 0 {
		o.BodyLimit = DefaultBodyLimit
	}
	if o.UserAgent == "" {
		o.UserAgent = DefaultUserAgent
	}
	return o
}

// Result is what was observed. Its JSON has durations in milliseconds, and errors as
// their texts, which are safe to show there.
type Result struct {
	Attempts  int       `json:"attempts"` // how many probes were made: 1, in a race perhaps more, or 0 if none came to its end
	OK        bool      `json:"ok"`
	Remote    string    `json:"remote"`             // literal address and port that was dialled last; "" if none was
	Phase     Phase     `json:"phase"`              // last step that began
	Failure   Failure   `json:"failure"`            // "" if OK
	Detail    string    `json:"detail"`             // one line in words, safe to show, at most DetailLimit bytes
	Err       error     `json:"-"`                  // the error underneath, if there was one; its text is not safe to show. In JSON its text is "error"
	Status    int       `json:"status"`             // HTTP status; 0 if there was none
	Body      string    `json:"body"`               // what was read of the body (TCP: of the first bytes), lines kept, else safe to show; ends in "…" if there was more
	Identity  Identity  `json:"identity"`           // which server answered
	WebSocket WebSocket `json:"webSocket"`          // outcome of the WebSocket part
	Resolved  []string  `json:"resolved,omitempty"` // the addresses of the name; none for an address
	Tried     []Try     `json:"tried,omitempty"`    // every address that was dialled for the request, in order
	NotSent   bool      `json:"notSent,omitempty"`  // this side sent nothing to an [Unreachable] address: it has no route, or no address of its own, from which to reach it
	Timings   Timings   `json:"timings"`
	TLS       string    `json:"tls,omitempty"` // the TLS connection in words: version, certificate's subject and names; "" if no handshake was completed
	PathMTU   int       `json:"pathMTU"`       // of the connection that took the request, in bytes, as this side knows it; 0 where the system does not report it
}

// Try is one literal address that was dialled. A name may have several; they are
// dialled one after the other, so that a success hides no failure.
type Try struct {
	Remote  string        // address and port
	Failure Failure       // "" if it connected
	Err     error         // why it did not; its text is not safe to show
	Connect time.Duration // until it connected or failed
}

// DetailLimit is the most bytes that Result.Detail has: enough for a sentence
// with a server's first bytes in it, short enough for a log line.
const DetailLimit = 320
