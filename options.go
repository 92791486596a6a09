package nestprobe

import (
	"crypto/tls"
	"net/http"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/target"
)

// Option says how a server is probed.
type Option func(*settings)

// settings are what the options set.
type settings struct {
	target     target.Target
	engineHost string
	vantage    *string // the container that WithVantage names; nil: find it out
	http       bool    // an option that only HTTP has a use for was given
}

func newSettings(container string, port uint16, options []Option) *settings {
	s := &settings{target: target.Target{
		Container: container, Port: port, Timeout: netprobe.DefaultTimeout, Wait: DefaultWait,
	}}
	for _, apply := range options {
		apply(s)
	}
	request := &s.target.Request
	if request.Scheme == "" && s.http {
		request.Scheme = netprobe.HTTP
	}
	if request.Scheme != "" && request.Scheme != netprobe.TCP && request.Path == "" {
		request.Path = "/"
	}
	return s
}

// WithScheme sets the protocol: netprobe.TCP, which is the default, netprobe.HTTP or
// netprobe.HTTPS.
func WithScheme(scheme netprobe.Scheme) Option {
	return func(s *settings) { s.target.Request.Scheme = scheme }
}

// WithPath sets the path to request over HTTP, with its leading slash, a query included. The
// default is "/".
func WithPath(path string) Option {
	return func(s *settings) { s.target.Request.Path, s.http = path, true }
}

// WithMethod sets the method of the request over HTTP. The default is GET.
func WithMethod(method string) Option {
	return func(s *settings) { s.target.Request.Method, s.http = method, true }
}

// WithHeader adds a header to the request over HTTP. Host and User-Agent replace the
// defaults.
func WithHeader(name, value string) Option {
	return func(s *settings) {
		if s.target.Request.Header == nil {
			s.target.Request.Header = http.Header{}
		}
		s.target.Request.Header.Add(name, value)
		s.http = true
	}
}

// WithWebSocket also opens a WebSocket at a path and has one message echoed.
func WithWebSocket(path string) Option {
	return func(s *settings) { s.target.Request.WebSocket, s.http = path, true }
}

// ExpectStatus sets the status of a good answer over HTTP. The default is 200.
func ExpectStatus(status int) Option {
	return func(s *settings) { s.target.Request.Expect.Status, s.http = status, true }
}

// ExpectBody sets a text that the body of a good answer contains; over TCP, that the server
// sends first.
func ExpectBody(text string) Option {
	return func(s *settings) { s.target.Request.Expect.Body = text }
}

// WithIdentity sets a token that only this server sends: in the header
// netprobe.IdentityHeader, or over TCP in its first bytes. An answer without it is that of
// another server.
func WithIdentity(token string) Option {
	return func(s *settings) { s.target.Request.Identity = token }
}

// WithTLS sets how the certificate of the server is verified. The default are the system's
// roots and the host of each address, which few servers in containers satisfy.
func WithTLS(config *tls.Config) Option {
	return func(s *settings) { s.target.Options.TLS = config }
}

// WithWait sets how long the server may take to answer. The default is [DefaultWait]; with 0
// each address is tried for one timeout.
func WithWait(wait time.Duration) Option {
	return func(s *settings) { s.target.Wait = wait }
}

// WithTimeout sets the longest time for one attempt at one address. The default is
// netprobe.DefaultTimeout.
func WithTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.target.Timeout = timeout }
}

// WithEngineHost sets the name or address of the machine on which the engine publishes
// ports. The default is the host of the client's endpoint. A client that reaches the engine
// through a dialer of its own, such as ssh, does not know it.
func WithEngineHost(host string) Option {
	return func(s *settings) { s.engineHost = host }
}

// WithVantage says in which container of the engine this process is, by name or ID; empty
// for none. By default it is found out. [Candidates] lists the addresses for that container,
// wherever this process is. [Reach] probes from this process in any case.
func WithVantage(container string) Option {
	return func(s *settings) { s.vantage = &container }
}
