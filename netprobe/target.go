package netprobe

import (
	"net/http"
	"strings"
)

// Target is what to request, and which response is good.
type Target struct {
	Scheme    Scheme // "" is HTTP
	Address   string // "host:port", host an IP literal or a name, as net.JoinHostPort writes it
	Path      string // request path, a query included, with its leading slash; "" is "/"
	Expect    Expect // which response is good
	WebSocket string // path at which one message must be echoed after a good response; "" for none; TCP ignores it
	Identity  string // token that the server must send in IdentityHeader, or in its first bytes (TCP); "" for any

	Method string `json:",omitempty"` // of the HTTP request; "" is GET. That of a WebSocket is always GET
	// Header is sent with the HTTP request and with that of the WebSocket. Host replaces
	// the one of Address. TCP ignores it.
	Header http.Header `json:",omitempty"`
}

// Expect says which response is good.
type Expect struct {
	Status int    // HTTP status; 0 is 200; 101 with a WebSocket sends no other request than its own
	Body   string // text that the body (TCP: the first bytes) must contain; "" for any
}

// Scheme is the protocol spoken to a target.
type Scheme string

// The schemes that Probe speaks.
const (
	HTTP  Scheme = "http"
	HTTPS Scheme = "https"
	TCP   Scheme = "tcp"

	// H2C and H2 are the beginning of HTTP/2, without and with TLS: the answer is good
	// if it begins with a SETTINGS frame. No request is sent.
	H2C Scheme = "h2c"
	H2  Scheme = "h2"
)

// URL is what a user would type to send the same request.
func (t Target) URL() string {
	return t.base() + t.path()
}

// method is that of the HTTP request.
func (t Target) method() string {
	if t.Method == "" {
		return http.MethodGet
	}
	return t.Method
}

// host is the Host that the requests name, if it is not that of the address.
func (t Target) host() string { return t.Header.Get("Host") }

// WithHost returns the target with another Host header.
func (t Target) WithHost(host string) Target {
	t.Header = t.Header.Clone()
	if t.Header == nil {
		t.Header = http.Header{}
	}
	t.Header.Set("Host", host)
	return t
}

// onlyWebSocket reports whether the request that opens the WebSocket is the only one. Its path
// may answer others as it likes.
func (t Target) onlyWebSocket() bool {
	return t.WebSocket != "" && t.Expect.Status == http.StatusSwitchingProtocols
}

// secured reports whether the scheme needs TLS.
func (t Target) secured() bool { return t.scheme() == HTTPS || t.scheme() == H2 }

func (t Target) scheme() Scheme {
	if t.Scheme == "" {
		return HTTP
	}
	return t.Scheme
}

// base is the URL without a path. The % before an IPv6 zone is written as %25
// (RFC 6874).
func (t Target) base() string {
	return string(t.scheme()) + "://" + strings.ReplaceAll(t.Address, "%", "%25")
}

func (t Target) path() string {
	switch {
	case t.scheme() == TCP:
		return ""
	case t.Path == "":
		return "/"
	}
	return t.Path
}
