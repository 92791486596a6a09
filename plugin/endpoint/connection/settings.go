package connection

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Transport is how an endpoint is reached.
type Transport string

// The transports of an endpoint.
const (
	Unix  Transport = "unix"
	Npipe Transport = "npipe"
	TCP   Transport = "tcp"
	SSH   Transport = "ssh"
)

// Settings say which Docker API to open and with what. They may hold TLS keys, but
// printing them, with any format verb or as JSON, shows only the exported fields.
// Only [Settings.Carry] encodes all of them.
//
// The package endpoint resolves them from docker's contexts, flags and environment.
type Settings struct {
	Context   string    `json:"context"`
	Host      string    `json:"host"` // as docker writes it, such as unix:///var/run/docker.sock, but no password
	Transport Transport `json:"transport"`
	TLS       bool      `json:"tls"`

	// Secrets stay behind a function: fmt prints Settings in an unexported field of
	// another struct without calling their Format method, and follows pointers for a
	// verb that does not fit.
	secrets func() secrets

	answerTimeout time.Duration // the longest that a ping may take
}

// secrets is what a client is made from.
type secrets struct {
	host       string // as it was given
	source     string // the setting that chose the endpoint, in words
	tls        *TLS   // nil for none
	headers    map[string]string
	apiVersion string
	userAgent  string
	dial       Dial
	// dialCommands are for a user to try if dialling fails.
	dialCommands []string
	direct       bool // past the proxy of the environment
	review       Review
}

// Sources say in words where the settings of an endpoint are from, such as "from
// DOCKER_HOST". A setting that was not set has an empty source.
type Sources struct {
	Context    string
	Host       string
	TLS        string
	Files      string // of TLS
	APIVersion string // that was fixed
	Headers    string
}

// Dial opens a connection to the one engine, for any network and address.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Option adds to Settings what few endpoints have.
type Option func(*secrets)

// WithTLS uses TLS if the endpoint is of the kind [TCP].
func WithTLS(material TLS) Option { return func(s *secrets) { s.tls = &material } }

// WithHeaders adds HTTP headers to every request. They are secrets, as keys are.
func WithHeaders(headers map[string]string) Option {
	return func(s *secrets) { s.headers = maps.Clone(headers) }
}

// WithAPIVersion fixes the version of the API, as DOCKER_API_VERSION does. If it is
// empty, the version is negotiated.
func WithAPIVersion(version string) Option {
	return func(s *secrets) { s.apiVersion = strings.TrimPrefix(version, "v") }
}

// WithUserAgent sets the client's User-Agent.
func WithUserAgent(name string) Option { return func(s *secrets) { s.userAgent = name } }

// WithDialer sets the dialer of an endpoint of the kind [SSH], which cannot be used
// without one. Other endpoints are dialled as docker does. The commands are those
// that a user may try if dialling fails.
func WithDialer(dial Dial, commands ...string) Option {
	return func(s *secrets) { s.dial, s.dialCommands = dial, commands }
}

// Review looks at the fault of an endpoint that does not work, and returns it, with more
// evidence perhaps, or one that explains it. It must respect ctx.
type Review func(ctx context.Context, fault *report.Fault) *report.Fault

// WithReview sets who looks at a fault before it is returned.
func WithReview(review Review) Option { return func(s *secrets) { s.review = review } }

// WithoutProxy opens the endpoint directly, whatever proxies the environment has.
func WithoutProxy() Option { return func(s *secrets) { s.direct = true } }

// reviewed is a fault after its review, if there is one.
func (s Settings) reviewed(ctx context.Context, fault *report.Fault) *report.Fault {
	if review := s.use().review; review != nil {
		return review(ctx, fault)
	}
	return fault
}

// NewSettings returns the settings for a host as docker writes it: unix://PATH,
// npipe://PATH, tcp://HOST:PORT or ssh://USER@HOST; empty is docker's default.
// The context is the name of the docker context that the host is from, if there is
// one. [Open] finds out whether the host is valid.
func NewSettings(contextName, host string, options ...Option) Settings {
	secret := secrets{host: cmp.Or(host, client.DefaultDockerHost), source: fmt.Sprintf("from context %q", contextName)}
	if contextName == "" {
		secret.source = "as it was given"
	}
	for _, apply := range options {
		apply(&secret)
	}
	transport := transportOf(secret.host)
	settings := Settings{
		Context:       contextName,
		Host:          redacted(secret.host),
		Transport:     transport,
		TLS:           transport == TCP && secret.tls != nil,
		secrets:       func() secrets { return secret },
		answerTimeout: defaultAnswerTimeout,
	}
	if transport == SSH {
		settings.answerTimeout = sshAnswerTimeout
	}
	return settings
}

// use returns the secrets. The zero Settings have no secrets and no host.
func (s Settings) use() secrets {
	if s.secrets == nil {
		return secrets{}
	}
	return s.secrets()
}

// From names the setting that chose the endpoint, for the evidence of faults.
func (s Settings) From(source string) Settings {
	secret := s.use()
	secret.source = source
	s.secrets = func() secrets { return secret }
	return s
}

// redacted is a host without its password. Docker refuses passwords over ssh and
// ignores them over TCP, but users write them.
func redacted(host string) string {
	parsed, err := url.Parse(host)
	if err != nil || parsed.User == nil {
		return host
	}
	if _, secret := parsed.User.Password(); !secret {
		return host
	}
	return parsed.Redacted()
}

// transportOf is the transport that docker's client uses: TCP for all that is not a
// socket, a pipe or ssh.
func transportOf(host string) Transport {
	scheme, _, _ := strings.Cut(host, "://")
	switch transport := Transport(scheme); transport {
	case Unix, Npipe, SSH:
		return transport
	default:
		return TCP
	}
}

// WithAnswerTimeout returns the settings with another bound on how long the engine
// may take to answer [Open]. Finding out why it does not may take 2 s more.
func (s Settings) WithAnswerTimeout(timeout time.Duration) Settings {
	s.answerTimeout = timeout
	return s
}

// Verified says whether the engine's certificate is verified.
func (s Settings) Verified() bool {
	material := s.use().tls
	return s.TLS && material != nil && !material.SkipVerify
}

// Headers is the number of custom HTTP headers that go with every request. Their
// names and values stay secret.
func (s Settings) Headers() int { return len(s.use().headers) }

// RemoteHost is the name or address of the machine of a tcp or ssh endpoint, without
// brackets around IPv6; empty for a socket or a pipe.
func (s Settings) RemoteHost() string {
	if s.Transport != TCP && s.Transport != SSH {
		return ""
	}
	parsed, err := url.Parse(s.Host)
	if err != nil {
		return ""
	}
	return parsed.Hostname()
}

// EngineHost is [Settings.RemoteHost] if that is another machine. It is empty for a
// loopback address: then the engine is on this machine, or at the other end of a
// tunnel.
func (s Settings) EngineHost() string {
	if s.IsLoopback() {
		return ""
	}
	return s.RemoteHost()
}

// IsLoopback says whether the endpoint is an address that leads every machine and
// every container to itself: localhost, 127.0.0.0/8, ::1, and 0.0.0.0 and ::, which
// are dialled as these. In another machine or container the settings mean another
// engine, or none. Names other than localhost are not looked up.
func (s Settings) IsLoopback() bool {
	host := s.RemoteHost()
	if name := strings.ToLower(strings.TrimSuffix(host, ".")); name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true // RFC 6761, section 6.3
	}
	address, err := netip.ParseAddr(host)
	return err == nil && isLoopback(address)
}

func isLoopback(address netip.Addr) bool {
	address = address.Unmap()
	return address.IsLoopback() || address.IsUnspecified()
}

// String names the endpoint without its secrets.
func (s Settings) String() string {
	return fmt.Sprintf("%s (context %s, tls %t)", sentence.Visible(s.Host), s.Context, s.TLS)
}

// Format prints [Settings.String] for every verb and flag, so that %d or %#v
// cannot reach the TLS key.
func (s Settings) Format(state fmt.State, _ rune) {
	_, _ = io.WriteString(state, s.String()) // fmt does not report a writer's errors
}
