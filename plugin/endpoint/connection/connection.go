// Package connection opens a Docker API and explains why it cannot be opened. [Open]
// makes docker's client from [Settings] and pings the engine. A failure, then or
// later, becomes a [report.Fault] with its cause and evidence.
//
// The plugin calls it through the package endpoint, which knows docker's
// contexts and flags. The agent calls it inside a container, with settings that
// it receives over stdin ([Receive]). So this package must not know of
// docker/cli, containers to start, or reports beyond the description of the
// endpoint. It never exits, never prints, and never shows TLS keys or custom HTTP
// headers.
package connection

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/retrying"
)

// Bounds on connecting. Docker's client stops dialling a socket or a TCP address
// after 10 s (go-connections, sockets.defaultTimeout) and an ssh connection after
// 30 s (docker/cli, connhelper, ConnectTimeout). Those bounds apply here too, since
// its client is used. It has no bound for the TLS handshake and for the answer, and
// hangs on an endpoint that accepts and stays silent.
const (
	// defaultAnswerTimeout bounds a whole ping over a socket, a pipe or TCP: the dial's
	// 10 s, and 20 s for an engine that systemd starts on the first connection.
	defaultAnswerTimeout = 30 * time.Second
	// sshAnswerTimeout leaves ssh its own 30 s, so that its message is seen before
	// this timeout, and 10 s for the other side.
	sshAnswerTimeout = 40 * time.Second
	// measureTimeout bounds one measurement at an endpoint that has just failed. A
	// server that answers at all has accepted a connection within the last seconds,
	// so 2 s are enough.
	measureTimeout = 2 * time.Second
)

// Connection is an engine that answers.
type Connection struct {
	// API is docker's client, its API version negotiated. It repeats a request to list
	// or inspect something that changes at that moment.
	API client.APIClient
	// Omitted collects the calls that the command went on without.
	Omitted *Omitted

	settings Settings
	client   *client.Client
	calls    *watchedTransport
	wire     wire
	ssh      sshErrors
	version  chan *types.Version // see detail
	info     chan *system.Info   // see detail
	peer     []*x509.Certificate // the engine's, from the first ping
}

// wire is how the client reaches the endpoint, kept so that a failure can be
// measured over the same path.
type wire struct {
	base *url.URL // of requests; for sockets and ssh its host is made up
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	tls  *tls.Config // nil for plain HTTP
}

// Open pings the engine and negotiates an API version, in one round trip (two when
// DOCKER_API_VERSION fixes the version). It waits at most 10 s for a connection and
// 30 s for an answer (40 s over ssh). A cancelled ctx ends it immediately with the
// context's error; any other error is a [*report.Fault]. The caller closes the
// connection.
func Open(ctx context.Context, settings Settings) (*Connection, error) {
	c, err := settings.client()
	if err != nil {
		return nil, settings.reviewed(ctx, settings.Unusable(err))
	}
	seen := &tracer{}
	ping, err := c.ping(ctx, seen)
	c.peer = seen.snapshot().peer
	if err == nil {
		c.client.NegotiateAPIVersionPing(ping)
		err = cmp.Or(c.checkVersion(ctx, ping.APIVersion), c.checkPath(ctx))
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Format prints the endpoint, whatever the verb: the client holds keys.
func (c *Connection) Format(state fmt.State, verb rune) { c.settings.Format(state, verb) }

// Close releases the connections to the engine.
func (c *Connection) Close() {
	_ = c.client.Close() // returns nil, always
	c.calls.base.CloseIdleConnections()
}

// client makes docker's client as the docker CLI does (docker/cli,
// cli/context/docker/load.go, and cli/command/cli.go, newAPIClientFromEndpoint).
// It does not dial. The CLI's own client is not used because making it calls
// os.Exit on an error and swallows a failed ping after 2 s, and because the
// agent has no docker/cli.
func (s Settings) client() (*Connection, error) {
	base, err := s.baseURL()
	if err != nil {
		return nil, err
	}
	var config *tls.Config // nil for plain HTTP
	if s.TLS {
		if config, err = s.use().tls.Config(); err != nil {
			return nil, err
		}
	}
	c := &Connection{settings: s, Omitted: &Omitted{}, version: make(chan *types.Version, 1), info: make(chan *system.Info, 1)}
	c.version <- nil
	c.info <- nil
	var transport *http.Transport
	options := append(s.options(c), func(made *client.Client) error {
		// Later the client hides its transport behind one for tracing.
		var ok bool
		if transport, ok = made.HTTPClient().Transport.(*http.Transport); !ok {
			return errors.New("docker's client has an unknown transport")
		}
		transport.TLSClientConfig = config
		if s.use().direct {
			transport.Proxy = nil
		}
		// The client reads the settings of its own transport, so another one is put behind it
		// rather than around it.
		behind := transport.Clone()
		c.calls = &watchedTransport{base: behind, next: bounds.NewTransport(behind, s.limits())}
		transport.RegisterProtocol(base.Scheme, c.calls)
		return nil
	})
	api, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, err
	}
	c.API, c.client = boundClient{retrying.Client{APIClient: api}, c}, api
	c.wire = wire{base: base, dial: transport.DialContext, tls: config.Clone()}
	return c, nil
}

// limits are the bounds of calls at the endpoint. ssh needs more time to connect.
func (s Settings) limits() bounds.Limits {
	limits := bounds.Defaults()
	if s.Transport == SSH {
		limits.Connect = sshAnswerTimeout
	}
	return limits
}

// OnWait has a function called with what is being waited for when the engine takes long to
// answer a call. Several goroutines may call it in parallel.
func (c *Connection) OnWait(notify func(what string)) { c.calls.next.OnWait(notify) }

// options are those of docker's client, but for TLS.
func (s Settings) options(c *Connection) []client.Opt {
	use := s.use()
	options := []client.Opt{client.WithVersion(use.apiVersion), client.WithAPIVersionNegotiation(), client.WithHTTPHeaders(use.headers)}
	if use.userAgent != "" {
		options = append(options, client.WithUserAgent(use.userAgent))
	}
	if s.Transport != SSH {
		return append(options, client.WithHost(use.host))
	}
	// The host is made up, and the client is replaced after it: a host of this
	// kind brings the proxy of the environment with it.
	return append(options, client.WithHost("http://"+client.DummyHost),
		client.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: c.ssh.record(use.dial)}}))
}

// baseURL is the URL under which the client's requests go out.
func (s Settings) baseURL() (*url.URL, error) {
	use := s.use()
	if s.Transport == SSH && use.dial == nil {
		return nil, errors.New("there is no ssh here")
	}
	if err := checkURL(use.host); err != nil {
		return nil, err
	}
	parsed, err := client.ParseHostURL(use.host)
	if err != nil {
		return nil, err
	}
	if s.Transport != TCP {
		return &url.URL{Scheme: "http", Host: client.DummyHost}, nil
	}
	scheme := "http"
	if s.TLS {
		scheme = "https"
	}
	return &url.URL{Scheme: scheme, Host: parsed.Host, Path: parsed.Path}, nil
}

// checkURL refuses what the docker CLI refuses, paths of sockets included. Its
// error leaves out the URL, which may hold a password.
func checkURL(host string) error {
	_, err := url.Parse(host)
	var parsing *url.Error
	if errors.As(err, &parsing) {
		return parsing.Err
	}
	return err
}

// address is host and port of a TCP endpoint.
func (w wire) address() string {
	port := w.base.Port()
	if port == "" {
		port = w.base.Scheme // "http" and "https" are service names that dialling knows
	}
	return net.JoinHostPort(w.base.Hostname(), port)
}

// ping requests the engine's API version, and finds out why if that fails.
func (c *Connection) ping(ctx context.Context, seen *tracer) (types.Ping, error) {
	bounded, cancel := context.WithTimeout(ctx, c.settings.answerTimeout)
	defer cancel()
	ping, err := c.client.Ping(httptrace.WithClientTrace(bounded, seen.hooks()))
	if ping.APIVersion != "" {
		return ping, nil // as the docker CLI does: an unhealthy engine is an engine
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ping, ctx.Err()
	}
	return ping, c.diagnose(ctx, seen.snapshot(), err)
}
