// Package diagnosis names what can be wrong. A [Cause] is a stable id with a
// title and an explanation; a [Fault] is an error that carries its cause and the
// evidence for it. Causes are reported only on evidence measured in the same
// run. The package is used by the plugin and by the agent, so it must not know
// of docker/cli.
package diagnosis

import (
	"embed"
	"maps"
	"slices"
)

// Cause is the stable id of something that can be wrong. Ids are never reused.
type Cause string

// The Docker endpoint and the engine behind it.
const (
	APIVersionUnsupported Cause = "api-version-unsupported"
	DockerSocketMissing   Cause = "docker-socket-missing"
	DockerSocketPerm      Cause = "docker-socket-permission"
	EndpointIsLoopback    Cause = "in-container-endpoint-is-loopback"
	EngineOSUnsupported   Cause = "engine-os-unsupported"
	EngineUnreachable     Cause = "engine-unreachable"
	SocketPathNotOnEngine Cause = "socket-path-not-on-engine"
	TLSCertPathMissing    Cause = "tls-cert-path-missing"
	TLSClientCertRejected Cause = "tls-client-cert-rejected"
	TLSExpired            Cause = "tls-expired"
	TLSHostnameMismatch   Cause = "tls-hostname-mismatch"
	TLSNotExpected        Cause = "tls-not-expected"
	TLSRequired           Cause = "tls-required"
	TLSUntrusted          Cause = "tls-untrusted"
)

// What is to be started, and what was left behind.
const (
	ImageUnavailable   Cause = "image-unavailable"
	ImageWrongPlatform Cause = "image-wrong-platform"
	Leftovers          Cause = "leftovers"
	NameInUse          Cause = "name-in-use"
	PortInUse          Cause = "port-in-use"
)

// The server in its container, and what it says.
const (
	NotHTTP                 Cause = "not-http"
	ServerExited            Cause = "server-exited"
	ServerListensElsewhere  Cause = "server-listens-elsewhere"
	ServerListensOnLoopback Cause = "server-listens-on-loopback"
	ServerNotReady          Cause = "server-not-ready"
	TLSOnPlainPort          Cause = "tls-on-plain-port"
	UnexpectedBody          Cause = "unexpected-body"
	UnexpectedStatus        Cause = "unexpected-status"
	WebSocketRefused        Cause = "websocket-refused"
	WrongServer             Cause = "wrong-server"
)

// Published ports and the engine's host.
const (
	ForwarderAcceptsAlone    Cause = "forwarder-accepts-alone"
	HostAliasMissing         Cause = "host-alias-missing"
	HostAliasUnreachable     Cause = "host-alias-unreachable"
	HostListensOnLoopback    Cause = "host-listens-on-loopback"
	LocalhostIsThisContainer Cause = "localhost-is-this-container"
	PortNotPublished         Cause = "port-not-published"
	PublishedFamilyMismatch  Cause = "published-family-mismatch"
	PublishedOnLoopback      Cause = "published-on-loopback"
	PublishedOnRemoteHost    Cause = "published-on-remote-host"
)

// Networks and the ways between them.
const (
	ContainerNetworkRemote Cause = "container-network-remote"
	DefaultBridgeHasNoDNS  Cause = "default-bridge-has-no-dns"
	DirectRoutingBlocked   Cause = "direct-routing-blocked"
	FirewallDrops          Cause = "firewall-drops"
	HTTPProxyInterferes    Cause = "http-proxy-interferes"
	ICCDisabled            Cause = "icc-disabled"
	MacvlanHostIsolation   Cause = "macvlan-host-isolation"
	MTUBlackhole           Cause = "mtu-blackhole"
	NetworkHostMode        Cause = "network-host-mode"
	NetworkInternal        Cause = "network-internal"
	NetworkNone            Cause = "network-none"
	NetworksIsolated       Cause = "networks-isolated"
	SubnetOverlapsRoute    Cause = "subnet-overlaps-route"
)

var titles = map[Cause]string{
	APIVersionUnsupported: "The engine and this client have no API version in common",
	DockerSocketMissing:   "There is no Docker socket where the endpoint says",
	DockerSocketPerm:      "This user may not open the Docker socket",
	EndpointIsLoopback:    "The endpoint is a loopback address, which leads a container to itself",
	EngineOSUnsupported:   "The engine runs containers of an OS or CPU that has no agent",
	EngineUnreachable:     "No engine can be reached at the Docker endpoint",
	SocketPathNotOnEngine: "The path of the Docker socket holds no socket",
	TLSCertPathMissing:    "The TLS files of the endpoint are missing or cannot be read",
	TLSClientCertRejected: "The engine rejects the client certificate",
	TLSExpired:            "A certificate is not valid at this time",
	TLSHostnameMismatch:   "The certificate is for another host name",
	TLSNotExpected:        "The endpoint is set to TLS, but the engine speaks plain HTTP",
	TLSRequired:           "The engine wants TLS, but the endpoint is set to plain HTTP",
	TLSUntrusted:          "The certificate is not signed by a trusted authority",

	ImageUnavailable:   "The image cannot be had",
	ImageWrongPlatform: "The image is made for another platform",
	Leftovers:          "An earlier nestprobe has left containers or networks behind",
	NameInUse:          "The name is already taken",
	PortInUse:          "The host port is already taken",

	NotHTTP:                 "What answers does not speak HTTP",
	ServerExited:            "The server exited before it answered",
	ServerListensElsewhere:  "The server listens on another port or address",
	ServerListensOnLoopback: "The server listens on loopback in its container alone",
	ServerNotReady:          "Nothing listens on the server's port yet",
	TLSOnPlainPort:          "The server was asked with TLS on a port that does not speak it",
	UnexpectedBody:          "The server answered with another body than expected",
	UnexpectedStatus:        "The server answered with another status than expected",
	WebSocketRefused:        "The server did not switch to WebSocket",
	WrongServer:             "Another server answered at this address",

	ForwarderAcceptsAlone:    "A port forwarder accepts, but nothing listens behind it",
	HostAliasMissing:         "The container has no such name for its host",
	HostAliasUnreachable:     "The container's name for its host leads elsewhere",
	HostListensOnLoopback:    "The server on the host listens on loopback alone",
	LocalhostIsThisContainer: "In a container, localhost is the container itself",
	PortNotPublished:         "The port is not published",
	PublishedFamilyMismatch:  "IPv4 and IPv6 are not published alike",
	PublishedOnLoopback:      "The port is published on the host's loopback alone",
	PublishedOnRemoteHost:    "The port is published on the engine's host, which is not this one",

	ContainerNetworkRemote: "Container addresses are out of reach: their network is elsewhere",
	DefaultBridgeHasNoDNS:  "The default bridge has no names for containers",
	DirectRoutingBlocked:   "The engine drops packets routed to a container's address",
	FirewallDrops:          "A firewall drops packets on this way",
	HTTPProxyInterferes:    "A proxy setting would catch this address",
	ICCDisabled:            "The network keeps its containers from each other",
	MacvlanHostIsolation:   "A macvlan or ipvlan container cannot be reached from its own host",
	MTUBlackhole:           "Large packets seem to be lost on this way",
	NetworkHostMode:        "The server shares the host's network and publishes nothing",
	NetworkInternal:        "The server's network is internal",
	NetworkNone:            "The container has no network but loopback",
	NetworksIsolated:       "Client and server have no network in common",
	SubnetOverlapsRoute:    "Another route covers the container's subnet",
}

// Causes returns every cause, sorted by id.
func Causes() []Cause { return slices.Sorted(maps.Keys(titles)) }

// undecided is the title of a finding that has no cause.
const undecided = "No address works, and what was measured does not decide why"

// Title is the cause in one line, or "" for what is not a cause. The empty cause
// is that of a finding where the evidence does not decide.
func (c Cause) Title() string {
	if c == "" {
		return undecided
	}
	return titles[c]
}

//go:embed explanations/*.md
var explanations embed.FS

// Explanation is all there is to say about the cause: what it means, how it is
// told apart from others, how to mend it. It is light Markdown that a terminal
// of 80 columns shows as it is, or "" for what is not a cause.
func (c Cause) Explanation() string {
	text, err := explanations.ReadFile("explanations/" + string(c) + ".md")
	if err != nil {
		return "" // there is one for every cause, which a test sees to
	}
	return string(text)
}
