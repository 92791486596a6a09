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

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// What is to be started, and what was left behind.
const (
	EngineOSUnsupported report.Cause = "engine-os-unsupported"
	ImageUnavailable    report.Cause = "image-unavailable"
	ImageWrongPlatform  report.Cause = "image-wrong-platform"
	Leftovers           report.Cause = "leftovers"
	NameInUse           report.Cause = "name-in-use"
	PortInUse           report.Cause = "port-in-use"
)

// The server in its container, and what it says.
const (
	NotHTTP                 report.Cause = "not-http"
	ServerExited            report.Cause = "server-exited"
	ServerListensElsewhere  report.Cause = "server-listens-elsewhere"
	ServerListensOnLoopback report.Cause = "server-listens-on-loopback"
	ServerNotReady          report.Cause = "server-not-ready"
	TLSOnPlainPort          report.Cause = "tls-on-plain-port"
	UnexpectedBody          report.Cause = "unexpected-body"
	UnexpectedStatus        report.Cause = "unexpected-status"
	WebSocketRefused        report.Cause = "websocket-refused"
	WrongServer             report.Cause = "wrong-server"
)

// Published ports and the engine's host.
const (
	ForwarderAcceptsAlone    report.Cause = "forwarder-accepts-alone"
	HostAliasMissing         report.Cause = "host-alias-missing"
	HostAliasUnreachable     report.Cause = "host-alias-unreachable"
	HostListensOnLoopback    report.Cause = "host-listens-on-loopback"
	LocalhostIsThisContainer report.Cause = "localhost-is-this-container"
	PortNotPublished         report.Cause = "port-not-published"
	PublishedFamilyMismatch  report.Cause = "published-family-mismatch"
	PublishedOnLoopback      report.Cause = "published-on-loopback"
	PublishedOnRemoteHost    report.Cause = "published-on-remote-host"
)

// Networks and the ways between them.
const (
	ContainerNetworkRemote report.Cause = "container-network-remote"
	DefaultBridgeHasNoDNS  report.Cause = "default-bridge-has-no-dns"
	DirectRoutingBlocked   report.Cause = "direct-routing-blocked"
	FirewallDrops          report.Cause = "firewall-drops"
	HTTPProxyInterferes    report.Cause = "http-proxy-interferes"
	ICCDisabled            report.Cause = "icc-disabled"
	MacvlanHostIsolation   report.Cause = "macvlan-host-isolation"
	MTUBlackhole           report.Cause = "mtu-blackhole"
	NetworkHostMode        report.Cause = "network-host-mode"
	NetworkInternal        report.Cause = "network-internal"
	NetworkNone            report.Cause = "network-none"
	NetworksIsolated       report.Cause = "networks-isolated"
	SubnetOverlapsRoute    report.Cause = "subnet-overlaps-route"
)

var titles = map[report.Cause]string{
	connection.APIVersionUnsupported: "The engine and this client have no API version in common",
	connection.DockerSocketMissing:   "There is no Docker socket where the endpoint says",
	connection.DockerSocketPerm:      "This user may not open the Docker socket",
	connection.EndpointIsLoopback:    "The endpoint is a loopback address, which leads a container to itself",
	EngineOSUnsupported:              "The engine runs containers of an OS or CPU that has no agent",
	connection.EngineUnreachable:     "No engine can be reached at the Docker endpoint",
	connection.SocketPathNotOnEngine: "The path of the Docker socket holds no socket",
	connection.TLSCertPathMissing:    "The TLS files of the endpoint are missing or cannot be read",
	connection.TLSClientCertRejected: "The engine rejects the client certificate",
	connection.TLSExpired:            "A certificate is not valid at this time",
	connection.TLSHostnameMismatch:   "The certificate is for another host name",
	connection.TLSNotExpected:        "The endpoint is set to TLS, but the engine speaks plain HTTP",
	connection.TLSRequired:           "The engine wants TLS, but the endpoint is set to plain HTTP",
	connection.TLSUntrusted:          "The certificate is not signed by a trusted authority",

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
func Causes() []report.Cause { return slices.Sorted(maps.Keys(titles)) }

// undecided is the title of a finding that has no cause.
const undecided = "No address works, and what was measured does not decide why"

// Title is a cause in one line, or "" for what is not a cause. The empty cause
// is that of a finding where the evidence does not decide.
func Title(c report.Cause) string {
	if c == "" {
		return undecided
	}
	return titles[c]
}

//go:embed explanations/*.md
var explanations embed.FS

// Explanation is all there is to say about a cause: what it means, how it is
// told apart from others, how to mend it. It is light Markdown that a terminal
// of 80 columns shows as it is, or "" for what is not a cause.
func Explanation(c report.Cause) string {
	text, err := explanations.ReadFile("explanations/" + string(c) + ".md")
	if err != nil {
		return "" // there is one for every cause, which a test sees to
	}
	return string(text)
}

// Finding is a fault as a part of a Report.
func Finding(f *report.Fault) report.Finding {
	finding := f.Finding()
	finding.Title = Title(f.Cause)
	return finding
}
