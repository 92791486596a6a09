package netprobe

import "strings"

// Target is what to request, and which response is good.
type Target struct {
	Scheme    Scheme // "" is HTTP
	Address   string // "host:port", host an IP literal or a name, as net.JoinHostPort writes it
	Path      string // request path, a query included, with its leading slash; "" is "/"
	Expect    Expect // which response is good
	WebSocket string // path at which one message must be echoed after a good response; "" for none; TCP ignores it
	Identity  string // token that the server must send in IdentityHeader, or in its first bytes (TCP); "" for any
}

// Expect says which response is good.
type Expect struct {
	Status int    // HTTP status; 0 is 200
	Body   string // text that the body (TCP: the first bytes) must contain; "" for any
}

// Scheme is the protocol spoken to a target.
type Scheme string

// The schemes that Probe speaks.
const (
	HTTP  Scheme = "http"
	HTTPS Scheme = "https"
	TCP   Scheme = "tcp"
)

// URL is what a user would type to send the same request.
func (t Target) URL() string {
	return t.base() + t.path()
}

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
