package diagnosis_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// The parts that the cases are put together from.
var (
	bridge = facts.Network{
		Name: "bridge", Driver: "bridge", Default: true,
		IPv4: netip.MustParseAddr("172.17.0.2"), GatewayIPv4: netip.MustParseAddr("172.17.0.1"),
	}
	own = facts.Network{
		Name: "own", Driver: "bridge",
		IPv4: netip.MustParseAddr("172.18.0.2"), GatewayIPv4: netip.MustParseAddr("172.18.0.1"),
	}
	own6 = facts.Network{
		Name: "own", Driver: "bridge",
		IPv6: netip.MustParseAddr("fd00::2"), GatewayIPv6: netip.MustParseAddr("fd00::1"),
	}
	published6 = facts.Binding{HostIP: netip.IPv6Unspecified(), HostPort: 32768}

	published = facts.Binding{HostIP: netip.IPv4Unspecified(), HostPort: 32768}
	onLocal   = facts.Binding{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 32768}

	host     = facts.Vantage{Name: "host"}
	inBridge = facts.Vantage{Name: "client", Container: true, Networks: []facts.Network{bridge}}
	inOwn    = facts.Vantage{Name: "client", Container: true, Networks: []facts.Network{own}}

	rootful  = facts.Engine{Major: 20}
	remote   = facts.Engine{Host: "192.0.2.7", Major: 26}
	rootless = facts.Engine{Rootless: true, Major: 20}
	tunnel   = facts.Engine{Loopback: true, Major: 26} // perhaps
)

// viaTunnel is a route that takes what is for bridge.
var viaTunnel = facts.Route{To: bridge.IPv4, Interface: "tun0", Prefix: netip.MustParsePrefix("172.16.0.0/12")}

func with(n facts.Network, change func(*facts.Network)) facts.Network {
	change(&n)
	return n
}

func on(n facts.Network, bindings ...facts.Binding) facts.Server {
	return facts.Server{Name: "web", Port: 8080, Networks: []facts.Network{n}, Bindings: bindings, PublishRequested: len(bindings) > 0}
}

func listens(s facts.Server, addresses ...string) facts.Server {
	s.Listeners = &listening.Listeners{}
	for _, a := range addresses {
		s.Listeners.Sockets = append(s.Listeners.Sockets, listening.Socket{Address: netip.MustParseAddrPort(a)})
	}
	return s
}

func ignored(s facts.Server) facts.Server {
	s.PublishRequested = true
	return s
}

// row is a probe that failed, or that did not if the failure is "".
func row(kind report.Kind, address string, failure netprobe.Failure) report.Probe {
	return report.Probe{Kind: kind, Address: address, OK: failure == "", Failure: failure, Detail: string(failure)}
}

const (
	ip       = "172.17.0.2:8080"
	ownIP    = "172.18.0.2:8080"
	gateway  = "172.17.0.1:32768"
	own6IP   = "[fd00::2]:8080"
	gateway6 = "[fd00::1]:32768"
	loopback = "127.0.0.1:32768"
)

// second is the answer to a probe that was repeated in another way.
func second(first report.Probe, way netprobe.Way, result netprobe.Result) facts.SecondAnswer {
	return facts.SecondAnswer{
		Question: netprobe.Question{Way: way, Host: "localhost", Race: netprobe.Race{Timeout: 10 * time.Second}},
		Address:  first.Address, Failure: first.Failure, Status: first.Status, Result: result,
	}
}

// atBoth are two rows that failed alike, after a connection.
func atBoth(failure netprobe.Failure, status int, phase netprobe.Phase) []report.Probe {
	rows := []report.Probe{row(report.KindPublishedLocalhost, loopback, failure), row(report.KindContainerIP, ip, failure)}
	for i := range rows {
		rows[i].Status, rows[i].Phase = status, phase
	}
	return rows
}

// Second answers prove the causes of all rows that failed alike.
func TestExplainSecondAnswers(t *testing.T) {
	t.Parallel()
	const overTLS = "TLS 1.3, certificate of web for localhost"
	for name, test := range map[string]struct {
		failure  netprobe.Failure
		status   int
		phase    netprobe.Phase
		way      netprobe.Way
		answer   netprobe.Result
		cause    report.Cause
		evidence string
	}{
		"TLS answers": {
			netprobe.NotHTTP, 0, netprobe.PhaseAnswer,
			netprobe.AskTLS, netprobe.Result{TLS: overTLS, Status: 200, OK: true}, diagnosis.ServerWantsTLS, overTLS,
		},
		"TLS answers where plain text was closed": {
			netprobe.ClosedWithoutResponse, 0, netprobe.PhaseRequest,
			netprobe.AskTLS, netprobe.Result{TLS: overTLS, Status: 404}, diagnosis.ServerWantsTLS, "over https it answers 404 (Not Found)",
		},
		"TLS that wants a client certificate": {
			netprobe.UnexpectedStatus, 400, netprobe.PhaseAnswer,
			netprobe.AskTLS, netprobe.Result{Failure: netprobe.TLSHandshake, Detail: "bad certificate"}, diagnosis.ServerWantsTLS, "bad certificate",
		},
		"TLS without HTTP in it": {
			netprobe.ClosedWithoutResponse, 0, netprobe.PhaseRequest,
			netprobe.AskTLS, netprobe.Result{TLS: overTLS, Failure: netprobe.NotHTTP, Detail: "AMQP"}, diagnosis.NotHTTP, "AMQP",
		},
		"no TLS either": {
			netprobe.NotHTTP, 0, netprobe.PhaseAnswer,
			netprobe.AskTLS, netprobe.Result{Failure: netprobe.TLSOnPlainPort}, diagnosis.NotHTTP, "",
		},
		"plain HTTP answers": {
			netprobe.TLSClosed, 0, netprobe.PhaseTLS,
			netprobe.AskPlain, netprobe.Result{Status: 200, OK: true}, diagnosis.TLSOnPlainPort, "answers 200 (OK)",
		},
		"neither TLS nor HTTP": {
			netprobe.TLSOnPlainPort, 0, netprobe.PhaseTLS,
			netprobe.AskPlain, netprobe.Result{Failure: netprobe.NotHTTP, Detail: "SSH"}, diagnosis.NotHTTP, "SSH",
		},
		"HTTP/2 answers": {
			netprobe.ClosedWithoutResponse, 0, netprobe.PhaseRequest,
			netprobe.AskHTTP2, netprobe.Result{OK: true}, diagnosis.ServerSpeaksHTTP2, "SETTINGS",
		},
		"another host is served": {
			netprobe.UnexpectedStatus, 403, netprobe.PhaseAnswer,
			netprobe.AskHost, netprobe.Result{OK: true, Status: 200}, diagnosis.HostHeaderRefused, `with "Host: localhost", the answer at`,
		},
		"another host is not served": {
			netprobe.UnexpectedStatus, 403, netprobe.PhaseAnswer,
			netprobe.AskHost, netprobe.Result{Failure: netprobe.UnexpectedStatus, Status: 403}, diagnosis.UnexpectedStatus, "",
		},
		"slow": {
			netprobe.NoResponse, 0, netprobe.PhaseRequest,
			netprobe.AskLonger, netprobe.Result{OK: true, Status: 200, Timings: netprobe.Timings{Total: 3 * time.Second}}, diagnosis.ServerSilent, "after 3s",
		},
		"slow, and not as expected": {
			netprobe.NoResponse, 0, netprobe.PhaseRequest,
			netprobe.AskLonger, netprobe.Result{Failure: netprobe.UnexpectedStatus, Status: 500}, diagnosis.ServerSilent, "",
		},
		"silent": {
			netprobe.NoResponse, 0, netprobe.PhaseRequest,
			netprobe.AskLonger, netprobe.Result{Failure: netprobe.NoResponse, Phase: netprobe.PhaseRequest}, diagnosis.ServerSilent, "time limit of 10s",
		},
		"closed after the time limit": {
			netprobe.NoResponse, 0, netprobe.PhaseRequest,
			netprobe.AskLonger, netprobe.Result{Failure: netprobe.ClosedWithoutResponse, Timings: netprobe.Timings{Total: 2 * time.Second}}, diagnosis.ServerCloses, "closed without a response after 2s",
		},
		"silent in TLS": {
			netprobe.NoResponse, 0, netprobe.PhaseTLS,
			netprobe.AskLonger, netprobe.Result{Failure: netprobe.NoResponse, Phase: netprobe.PhaseTLS}, diagnosis.ServerSilent, "",
		},
		"no HTTP, and a refusal that comes first": {
			netprobe.NotHTTP, 0, netprobe.PhaseAnswer,
			netprobe.AskListen, netprobe.Result{Failure: netprobe.Denied, Detail: "-DENIED"}, diagnosis.ServerCloses, "with nothing sent: -DENIED",
		},
		"a refusal in words": {
			netprobe.Denied, 0, netprobe.PhaseAnswer, "", netprobe.Result{}, diagnosis.ServerCloses, "denied",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows := atBoth(test.failure, test.status, test.phase)
			rows[0].Vantage, rows[1].Vantage = host.Name, host.Name
			vantage := host
			vantage.Asked = []facts.SecondAnswer{second(rows[0], test.way, test.answer)}
			result := diagnosis.Explain(diagnosis.Input{
				Engine: rootful, Server: listens(on(bridge, published), "[::]:8080"), Vantages: []facts.Vantage{vantage},
			}, rows)
			assert.Check(t, is.Equal(result.Probes[0].Cause, test.cause))
			assert.Check(t, is.Equal(result.Probes[1].Cause, test.cause))
			assert.Assert(t, is.Len(result.Findings, 1))
			assert.Check(t, is.Equal(result.Findings[0].Severity, report.SeverityError))
			assert.Check(t, is.Contains(strings.Join(result.Findings[0].Evidence, "\n"), test.evidence))
		})
	}
}

// A port forwarder accepts for a server that is not there, and a slow server is no path
// that loses large packets.
func TestSecondAnswersThatProveNothing(t *testing.T) {
	t.Parallel()
	first := row(report.KindPublishedLocalhost, loopback, netprobe.NoResponse)
	first.Vantage, first.Phase = host.Name, netprobe.PhaseRequest
	ownIP := row(report.KindContainerIP, ip, netprobe.ConnectTimeout)
	ownIP.Vantage, ownIP.Phase = host.Name, netprobe.PhaseConnect
	vantage := host
	vantage.Asked = []facts.SecondAnswer{
		second(first, netprobe.AskLonger, netprobe.Result{Failure: netprobe.NoResponse, Phase: netprobe.PhaseRequest}),
	}
	input := diagnosis.Input{Engine: rootful, Server: on(bridge, published), Vantages: []facts.Vantage{vantage}}
	result := diagnosis.Explain(input, []report.Probe{first, ownIP})
	assert.Check(t, result.Probes[0].Cause != diagnosis.ServerSilent)

	input.Vantages[0].Asked = []facts.SecondAnswer{
		second(first, netprobe.AskLonger, netprobe.Result{OK: true, Status: 200}),
		second(first, netprobe.AskSmall, netprobe.Result{OK: true, Status: 200}),
	}
	result = diagnosis.Explain(input, []report.Probe{first})
	assert.Check(t, is.Equal(result.Probes[0].Cause, diagnosis.ServerSilent))
}

func TestExplain(t *testing.T) {
	t.Parallel()
	const (
		refused = netprobe.Refused
		dropped = netprobe.ConnectTimeout
		closed  = netprobe.ClosedWithoutResponse
	)
	internal := func(n *facts.Network) { n.Internal = true }
	macvlan := ignored(on(with(own, func(n *facts.Network) { n.Driver, n.IPv6 = "macvlan", own6.IPv6 })))
	beside := facts.Vantage{Name: "host", Addresses: []netip.Addr{bridge.GatewayIPv4}}
	besideVM := facts.Vantage{Name: "host", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.9")}}
	onTwo := func(bindings ...facts.Binding) facts.Server {
		s := on(own, bindings...)
		s.Networks = append(s.Networks, bridge)
		return s
	}
	for name, test := range map[string]struct {
		engine  facts.Engine
		server  facts.Server
		vantage facts.Vantage
		rows    []report.Probe
		causes  []report.Cause // of the rows
		found   []string       // severity and cause of the findings
	}{
		"only IPv6, from a container without it": {
			rootful, on(own6, published6), inBridge,
			[]report.Probe{row(report.KindPublishedGateway, gateway6, netprobe.Unreachable), row(report.KindContainerIP, own6IP, netprobe.Unreachable)},
			[]report.Cause{diagnosis.PublishedFamilyMismatch, diagnosis.NetworksIsolated},
			[]string{"error networks-isolated"},
		},
		"the same on an engine that drops direct routing": {
			facts.Engine{Major: 28}, on(own6, published6), inBridge,
			[]report.Probe{row(report.KindContainerIP, own6IP, netprobe.Unreachable)},
			[]report.Cause{diagnosis.NetworksIsolated},
			[]string{"error networks-isolated"},
		},
		"only IPv6, in a VM": {
			rootful, on(own6, published6), besideVM,
			[]report.Probe{row(report.KindPublishedGateway, gateway6, netprobe.Unreachable), row(report.KindContainerIP, own6IP, netprobe.Unreachable)},
			[]report.Cause{diagnosis.ContainerNetworkRemote, diagnosis.ContainerNetworkRemote},
			[]string{"error container-network-remote"},
		},
		"healthy": {
			rootful, on(bridge, published), host,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, ""), row(report.KindContainerIP, ip, "")},
			[]report.Cause{"", ""}, nil,
		},
		"bound to loopback in the container": {
			rootful, listens(on(bridge, published), "127.0.0.1:8080"), host,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, closed), row(report.KindPublishedGateway, gateway, refused), row(report.KindContainerIP, ip, refused)},
			[]report.Cause{diagnosis.ServerListensOnLoopback, diagnosis.ServerListensOnLoopback, diagnosis.ServerListensOnLoopback},
			[]string{"error server-listens-on-loopback"},
		},
		"on another port": {
			rootful, listens(on(bridge, published), "[::]:3000"), host,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, closed)},
			[]report.Cause{diagnosis.ServerListensElsewhere}, []string{"error server-listens-elsewhere"},
		},
		"not ready": {
			rootful, listens(on(bridge, published)), host,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, closed), row(report.KindContainerIP, ip, refused)},
			[]report.Cause{diagnosis.ServerNotReady, diagnosis.ServerNotReady}, []string{"error server-not-ready"},
		},
		"a forwarder, and the listeners are not known": {
			rootful, on(bridge, published), host,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, closed), row(report.KindContainerIP, ip, refused)},
			[]report.Cause{diagnosis.ForwarderAcceptsAlone, ""}, []string{"error forwarder-accepts-alone"},
		},
		"a forwarder to an address that is not listened at": {
			facts.Engine{Desktop: true}, listens(on(bridge, published), "172.18.0.2:8080"), host,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, closed), row(report.KindContainerIP, ip, dropped)},
			[]report.Cause{diagnosis.ForwarderAcceptsAlone, diagnosis.ContainerNetworkRemote}, []string{"error forwarder-accepts-alone"},
		},
		"on one of two networks, and the forwarder leads to the other": {
			rootful, listens(onTwo(published), "172.17.0.2:8080"), inOwn,
			[]report.Probe{row(report.KindContainerIP, ownIP, refused), row(report.KindContainerIP, ip, dropped), row(report.KindPublishedGateway, gateway, closed)},
			[]report.Cause{diagnosis.ForwarderAcceptsAlone, "", diagnosis.ForwarderAcceptsAlone},
			[]string{"error forwarder-accepts-alone"},
		},
		"on one of two networks, and no forwarder": {
			facts.Engine{Podman: true}, listens(onTwo(published), "172.17.0.2:8080"), host,
			[]report.Probe{row(report.KindContainerIP, ip, ""), row(report.KindContainerIP, ownIP, refused), row(report.KindPublishedLocalhost, loopback, refused)},
			[]report.Cause{"", diagnosis.ServerListensElsewhere, diagnosis.ServerListensElsewhere},
			[]string{"info server-listens-elsewhere"},
		},
		"the server itself closes": {
			rootful, listens(on(bridge, published), "[::]:8080"), host,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, closed), row(report.KindContainerIP, ip, closed)},
			[]report.Cause{"", ""}, []string{"error "},
		},
		"the server itself closes, in a VM": {
			rootful, listens(on(bridge, published), "[::]:8080"), besideVM,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, closed), row(report.KindContainerIP, ip, dropped)},
			[]report.Cause{"", diagnosis.ContainerNetworkRemote}, []string{"error "},
		},
		"the server itself closes, in the host's network": {
			rootful, facts.Server{Name: "web", Port: 8080, HostNetwork: true}, host,
			[]report.Probe{row(report.KindPublishedLocalhost, "127.0.0.1:8080", closed)},
			[]report.Cause{""}, []string{"error "},
		},
		"exited": {
			rootful, facts.Server{Name: "web", Down: &report.Fault{Cause: diagnosis.ServerExited, Evidence: []string{"code 1"}, Hint: "see its log"}}, host, nil, nil,
			[]string{"error server-exited"},
		},
		"no network": {
			rootful, facts.Server{Name: "web", NoNetwork: true}, host, nil, nil,
			[]string{"error network-none"},
		},
		"localhost and aliases do not work from a container": {
			rootful, on(bridge, published), inBridge,
			[]report.Probe{
				row(report.KindContainerName, "web:8080", netprobe.NameNotFound),
				row(report.KindContainerIP, ip, ""),
				row(report.KindPublishedHostAlias, "host.docker.internal:32768", netprobe.NameNotFound),
				row(report.KindPublishedLocalhost, loopback, refused),
				row(report.KindPublishedAny, "0.0.0.0:32768", refused),
			},
			[]report.Cause{diagnosis.DefaultBridgeHasNoDNS, "", diagnosis.HostAliasMissing, diagnosis.LocalhostIsThisContainer, diagnosis.LocalhostIsThisContainer},
			[]string{"info default-bridge-has-no-dns", "info host-alias-missing", "info localhost-is-this-container"},
		},
		"this machine has no name of Docker Desktop's for itself": {
			rootful, on(bridge, published), host,
			[]report.Probe{
				row(report.KindPublishedLocalhost, loopback, ""),
				row(report.KindPublishedHostAlias, "host.docker.internal:32768", netprobe.NameNotFound),
				row(report.KindPublishedHostAlias, "host.docker.internal:32768", netprobe.NameTimeout),
			},
			[]report.Cause{"", "", ""}, nil,
		},
		"published only on loopback, from another network": {
			rootful, on(bridge, onLocal), inOwn,
			[]report.Probe{row(report.KindContainerIP, ip, dropped), row(report.KindPublishedGateway, gateway, refused), row(report.KindPublishedLocalhost, loopback, refused)},
			[]report.Cause{diagnosis.NetworksIsolated, diagnosis.PublishedOnLoopback, diagnosis.LocalhostIsThisContainer},
			[]string{"error published-on-loopback"},
		},
		"networks are isolated": {
			rootful, on(bridge), inOwn,
			[]report.Probe{row(report.KindContainerName, "web:8080", netprobe.NameNotFound), row(report.KindContainerIP, ip, dropped)},
			[]report.Cause{diagnosis.NetworksIsolated, diagnosis.NetworksIsolated}, []string{"error networks-isolated"},
		},
		"direct routing": {
			facts.Engine{Major: 28}, on(bridge), inOwn,
			[]report.Probe{row(report.KindContainerIP, ip, dropped)},
			[]report.Cause{diagnosis.DirectRoutingBlocked}, []string{"error direct-routing-blocked"},
		},
		"direct routing is open by the gateway mode": {
			facts.Engine{Major: 28}, on(with(bridge, func(n *facts.Network) { n.GatewayMode = "routed" })), inOwn,
			[]report.Probe{row(report.KindContainerIP, ip, dropped)},
			[]report.Cause{diagnosis.NetworksIsolated}, []string{"error networks-isolated"},
		},
		"inter-container communication is off": {
			rootful, on(with(own, func(n *facts.Network) { n.ICCDisabled = true })), inOwn,
			[]report.Probe{row(report.KindContainerIP, ownIP, dropped)},
			[]report.Cause{diagnosis.ICCDisabled}, []string{"error icc-disabled"},
		},
		"inter-container communication is off, by name": {
			rootful, on(with(own, func(n *facts.Network) { n.ICCDisabled = true })), inOwn,
			[]report.Probe{row(report.KindContainerName, "web:8080", dropped)},
			[]report.Cause{diagnosis.ICCDisabled}, []string{"error icc-disabled"},
		},
		"an internal network, from another one": {
			rootful, ignored(on(with(own, internal))), inBridge,
			[]report.Probe{row(report.KindContainerIP, ownIP, dropped)},
			[]report.Cause{diagnosis.NetworkInternal}, []string{"error network-internal"},
		},
		"an internal network of a remote engine's": {
			remote, ignored(on(with(own, internal))), host,
			[]report.Probe{row(report.KindContainerIP, ownIP, dropped)},
			[]report.Cause{diagnosis.ContainerNetworkRemote}, []string{"error network-internal"},
		},
		"macvlan from its host": {
			rootful, macvlan, host,
			[]report.Probe{row(report.KindContainerIP, ownIP, dropped)},
			[]report.Cause{diagnosis.MacvlanHostIsolation}, []string{"error macvlan-host-isolation"},
		},
		"macvlan from a bridge": {
			rootful, macvlan, inBridge,
			[]report.Probe{row(report.KindContainerIP, ownIP, dropped)},
			[]report.Cause{diagnosis.MacvlanHostIsolation}, []string{"error macvlan-host-isolation"},
		},
		"macvlan, and its address refuses": {
			rootful, macvlan, host,
			[]report.Probe{row(report.KindContainerIP, ownIP, refused)},
			[]report.Cause{""}, []string{"error "},
		},
		"macvlan, and one of its addresses refuses": {
			rootful, macvlan, host,
			[]report.Probe{row(report.KindContainerIP, ownIP, dropped), row(report.KindContainerIP, own6IP, refused)},
			[]report.Cause{"", ""}, []string{"error "},
		},
		"macvlan of a remote engine's": {
			remote, macvlan, host,
			[]report.Probe{row(report.KindContainerIP, ownIP, dropped)},
			[]report.Cause{diagnosis.ContainerNetworkRemote}, []string{"error container-network-remote"},
		},
		"macvlan of a remote engine's, on this machine's network": {
			remote, macvlan, host,
			[]report.Probe{row(report.KindContainerIP, ownIP, ""), row(report.KindContainerIP, own6IP, dropped)},
			[]report.Cause{"", ""}, nil,
		},
		"macvlan, perhaps of a remote engine's": {
			tunnel, macvlan, host,
			[]report.Probe{row(report.KindContainerIP, ownIP, dropped)},
			[]report.Cause{""}, []string{"error "},
		},
		"a remote engine": {
			remote, on(bridge, published), host,
			[]report.Probe{
				row(report.KindPublishedLocalhost, loopback, refused), row(report.KindPublishedEngineHost, "192.0.2.7:32768", ""),
				row(report.KindPublishedGateway, gateway, refused), row(report.KindContainerIP, ip, dropped),
			},
			[]report.Cause{diagnosis.PublishedOnRemoteHost, "", diagnosis.ContainerNetworkRemote, diagnosis.ContainerNetworkRemote},
			[]string{"info published-on-remote-host", "info container-network-remote"},
		},
		"an engine in a VM that does not say so": {
			rootful, on(bridge, published), besideVM,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, ""), row(report.KindPublishedGateway, gateway, dropped), row(report.KindContainerIP, ip, dropped)},
			[]report.Cause{"", diagnosis.ContainerNetworkRemote, diagnosis.ContainerNetworkRemote}, []string{"info container-network-remote"},
		},
		"a firewall on a machine that has the bridge": {
			rootful, on(bridge, published), beside,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, ""), row(report.KindPublishedGateway, gateway, dropped)},
			[]report.Cause{"", diagnosis.FirewallDrops}, []string{"info firewall-drops"},
		},
		"a remote engine that publishes only on its loopback": {
			remote, on(bridge, onLocal), host,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, refused), row(report.KindPublishedEngineHost, "192.0.2.7:32768", refused)},
			[]report.Cause{diagnosis.PublishedOnLoopback, diagnosis.PublishedOnLoopback}, []string{"error published-on-loopback"},
		},
		"a remote engine that publishes nothing": {
			remote, on(bridge), host,
			[]report.Probe{row(report.KindContainerIP, ip, dropped)},
			[]report.Cause{diagnosis.ContainerNetworkRemote}, []string{"error port-not-published"},
		},
		"only one family is published": {
			rootful, on(bridge, onLocal), host,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, ""), row(report.KindPublishedLocalhost, "[::1]:32768", refused)},
			[]report.Cause{"", diagnosis.PublishedFamilyMismatch}, []string{"info published-family-mismatch"},
		},
		"a remote engine that publishes for IPv6 only": {
			remote, on(bridge, facts.Binding{HostIP: netip.IPv6Unspecified(), HostPort: 32768}), host,
			[]report.Probe{row(report.KindPublishedEngineHost, "192.0.2.7:32768", refused)},
			[]report.Cause{diagnosis.PublishedFamilyMismatch}, []string{"error published-family-mismatch"},
		},
		"only one family is published, and the endpoint is on loopback": {
			tunnel, on(bridge, onLocal), beside,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, ""), row(report.KindPublishedLocalhost, "[::1]:32768", refused)},
			[]report.Cause{"", diagnosis.PublishedFamilyMismatch}, []string{"info published-family-mismatch"},
		},
		"the endpoint is on loopback, and leads to another machine": {
			tunnel, on(bridge, published), besideVM,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, refused), row(report.KindPublishedGateway, gateway, dropped), row(report.KindContainerIP, ip, dropped)},
			[]report.Cause{"", diagnosis.ContainerNetworkRemote, diagnosis.ContainerNetworkRemote}, []string{"error "},
		},
		"another server answers": {
			rootful, on(bridge, onLocal), host,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, ""), row(report.KindPublishedLocalhost, "[::1]:32768", netprobe.WrongServer)},
			[]report.Cause{"", diagnosis.WrongServer}, []string{"warning wrong-server"},
		},
		"a firewall": {
			rootful, on(bridge, published), host,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, ""), row(report.KindPublishedGateway, gateway, dropped)},
			[]report.Cause{"", diagnosis.FirewallDrops}, []string{"info firewall-drops"},
		},
		"a certificate of an unknown authority, for one of the names": {
			rootful, on(bridge, published), host,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, netprobe.TLSUntrusted), row(report.KindContainerIP, ip, netprobe.TLSHostnameMismatch)},
			[]report.Cause{connection.TLSUntrusted, connection.TLSHostnameMismatch}, []string{"error tls-untrusted"},
		},
		"the server says something else": {
			rootful, on(bridge, published), host,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, netprobe.UnexpectedStatus), row(report.KindContainerIP, ip, netprobe.UnexpectedStatus)},
			[]report.Cause{diagnosis.UnexpectedStatus, diagnosis.UnexpectedStatus}, []string{"error unexpected-status"},
		},
		"host mode of a rootless engine": {
			rootless, facts.Server{Name: "web", Port: 8080, HostNetwork: true, PublishRequested: true}, host,
			[]report.Probe{row(report.KindPublishedLocalhost, "127.0.0.1:8080", refused)},
			[]report.Cause{diagnosis.NetworkHostMode}, []string{"error network-host-mode"},
		},
		"a route of the host's covers the subnet": {
			rootful, on(bridge), facts.Vantage{Name: "host", Routes: []facts.Route{viaTunnel}},
			[]report.Probe{row(report.KindContainerIP, ip, dropped)},
			[]report.Cause{diagnosis.SubnetOverlapsRoute}, []string{"error subnet-overlaps-route"},
		},
		"a route of the host's covers the subnet, and the endpoint is on loopback": {
			tunnel, on(bridge), facts.Vantage{Name: "host", Routes: []facts.Route{viaTunnel}, Addresses: []netip.Addr{bridge.GatewayIPv4}},
			[]report.Probe{row(report.KindContainerIP, ip, dropped)},
			[]report.Cause{diagnosis.SubnetOverlapsRoute}, []string{"error subnet-overlaps-route"},
		},
		"a route of the host's covers the subnet, also for what is published": {
			rootful, on(bridge, published), facts.Vantage{Name: "host", Routes: []facts.Route{viaTunnel}, Addresses: []netip.Addr{bridge.GatewayIPv4}},
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, ""), row(report.KindPublishedGateway, gateway, dropped), row(report.KindContainerIP, ip, dropped)},
			[]report.Cause{"", diagnosis.SubnetOverlapsRoute, diagnosis.SubnetOverlapsRoute}, []string{"info subnet-overlaps-route"},
		},
		"a firewall, probed from one place": {
			rootful, listens(on(bridge, published), "[::]:8080"), inOwn,
			[]report.Probe{row(report.KindContainerIP, ip, dropped), row(report.KindPublishedGateway, gateway, dropped)},
			[]report.Cause{diagnosis.NetworksIsolated, diagnosis.FirewallDrops}, []string{"error firewall-drops"},
		},
		"Podman isolates networks for published ports too": {
			facts.Engine{Podman: true}, listens(on(own, published), "[::]:8080"), inBridge,
			[]report.Probe{row(report.KindContainerIP, ownIP, dropped), row(report.KindPublishedGateway, gateway, dropped)},
			[]report.Cause{diagnosis.NetworksIsolated, diagnosis.NetworksIsolated}, []string{"error networks-isolated"},
		},
		"large packets are lost": {
			rootful, on(bridge), facts.Vantage{Name: "host", Asked: []facts.SecondAnswer{
				second(row(report.KindContainerIP, ip, netprobe.StalledBody), netprobe.AskLonger, netprobe.Result{Failure: netprobe.StalledBody}),
				second(row(report.KindContainerIP, ip, netprobe.StalledBody), netprobe.AskSmall, netprobe.Result{OK: true, PathMTU: 1500}),
			}},
			[]report.Probe{row(report.KindContainerIP, ip, netprobe.StalledBody)},
			[]report.Cause{diagnosis.MTUBlackhole}, []string{"error mtu-blackhole"},
		},
		"a server that is slow": {
			rootful, on(bridge, published), host,
			[]report.Probe{row(report.KindPublishedLocalhost, loopback, netprobe.StalledBody), row(report.KindContainerIP, ip, netprobe.StalledBody)},
			[]report.Cause{"", ""}, []string{"error "},
		},
		"this machine does not reach its own bridge": {
			rootful, listens(on(bridge, published), "0.0.0.0:8080"), host,
			[]report.Probe{row(report.KindContainerIP, ip, dropped), row(report.KindPublishedLocalhost, loopback, netprobe.NoResponse)},
			[]report.Cause{diagnosis.FirewallDrops, ""}, []string{"error firewall-drops"},
		},
		"the answers of the server do not come back to this machine": {
			rootful, listens(on(bridge, published), "0.0.0.0:8080"),
			facts.Vantage{Name: "host", Watched: facts.Watched{Sightings: []facts.Sighting{{Address: loopback, Seen: facts.SeenUnanswered}}}},
			[]report.Probe{row(report.KindContainerIP, ip, dropped), row(report.KindPublishedLocalhost, loopback, netprobe.Silent)},
			[]report.Cause{"", ""}, []string{"error "},
		},
		"a place that nobody named, as no other": {
			rootful, on(bridge), facts.Vantage{Name: "client", Container: true, Networks: inOwn.Networks, Optional: true},
			[]report.Probe{row(report.KindContainerIP, ip, dropped)},
			[]report.Cause{diagnosis.NetworksIsolated}, []string{"error networks-isolated"},
		},
		"a place that nobody named, on no network of the server": {
			rootful, on(bridge), facts.Vantage{Name: "client", Container: true, Networks: inOwn.Networks, Beside: true},
			[]report.Probe{row(report.KindContainerIP, ip, dropped)},
			[]report.Cause{diagnosis.NetworksIsolated}, []string{"info networks-isolated"},
		},
		"a server on the host that listens on loopback": {
			rootful, listens(facts.Server{Name: "the host", Host: true, HostNetwork: true, Port: 8080}, "127.0.0.1:8080"), inBridge,
			[]report.Probe{row(report.KindHostGateway, "172.17.0.1:8080", refused), row(report.KindHostAlias, "host.docker.internal:8080", netprobe.NameNotFound)},
			[]report.Cause{diagnosis.HostListensOnLoopback, diagnosis.HostAliasMissing}, []string{"error host-listens-on-loopback"},
		},
		"a server on the host of a rootless engine": {
			rootless, listens(facts.Server{Name: "the host", Host: true, HostNetwork: true, Port: 8080}, "0.0.0.0:8080"), inBridge,
			[]report.Probe{row(report.KindHostGateway, "172.17.0.1:8080", refused), row(report.KindHostAddress, "192.0.2.9:8080", "")},
			[]report.Cause{diagnosis.HostAliasUnreachable, ""}, []string{"info host-alias-unreachable"},
		},
		"a server on the host behind a firewall": {
			rootful, listens(facts.Server{Name: "the host", Host: true, HostNetwork: true, Port: 8080}, "[::]:8080"), inBridge,
			[]report.Probe{row(report.KindHostGateway, "172.17.0.1:8080", dropped)},
			[]report.Cause{diagnosis.FirewallDrops}, []string{"error firewall-drops"},
		},
		"a server on this machine, and the engine in a VM": {
			rootful, listens(facts.Server{Name: "the host", Host: true, HostNetwork: true, Port: 8080}, "0.0.0.0:22"), inBridge,
			[]report.Probe{row(report.KindHostGateway, "172.17.0.1:8080", refused), row(report.KindHostAlias, "host.docker.internal:8080", "")},
			[]report.Cause{diagnosis.HostAliasUnreachable, ""}, []string{"info host-alias-unreachable"},
		},
		"nothing on the host": {
			rootful, listens(facts.Server{Name: "the host", Host: true, HostNetwork: true, Port: 8080}, "0.0.0.0:22"), inBridge,
			[]report.Probe{row(report.KindHostGateway, "172.17.0.1:8080", refused)},
			[]report.Cause{diagnosis.ServerNotReady}, []string{"error server-not-ready"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range test.rows {
				test.rows[i].Vantage = test.vantage.Name
			}
			given := slices.Clone(test.rows)
			result := diagnosis.Explain(diagnosis.Input{
				Engine: test.engine, Server: test.server, Vantages: []facts.Vantage{test.vantage},
			}, test.rows)
			findings := result.Findings
			assert.Check(t, is.DeepEqual(test.rows, given)) // no row is changed
			assert.Check(t, is.Len(result.Probes, len(given)))
			for i, want := range test.causes {
				got := result.Probes[i]
				assert.Check(t, is.Equal(got.Cause, want), "%s", got.Address)
				assert.Check(t, is.Equal(got.Hint != "", want != ""), "%s", got.Address)
			}
			assert.Check(t, findings != nil) // which would be null in JSON
			var found []string
			for _, f := range findings {
				found = append(found, fmt.Sprintf("%s %s", f.Severity, f.Cause))
				assert.Check(t, f.Title != "")
				assert.Check(t, len(f.Evidence) > 0, "%s", f.Cause)
				assert.Check(t, f.Hint != "", "%s", f.Cause)
			}
			assert.Check(t, is.DeepEqual(found, test.found))
		})
	}
}

// Of two findings of one cause the worse one gives severity and hint.
func TestMerge(t *testing.T) {
	t.Parallel()
	finding := func(cause report.Cause, severity report.Severity, evidence ...string) report.Finding {
		return report.Finding{Cause: cause, Severity: severity, Evidence: evidence, Hint: string(severity)}
	}
	merged := diagnosis.Merge(
		[]report.Finding{finding("a", report.SeverityInfo, "1", "2"), finding("b", report.SeverityError, "3")},
		[]report.Finding{finding("a", report.SeverityError, "2", "4"), finding("b", report.SeverityInfo, "5")},
	)
	assert.DeepEqual(t, merged, []report.Finding{
		{Cause: "a", Severity: report.SeverityError, Evidence: []string{"1", "2", "4"}, Hint: "error"},
		{Cause: "b", Severity: report.SeverityError, Evidence: []string{"3", "5"}, Hint: "error"},
	})
}

// Behind a tunnel this machine may be the wrong one, and the hint says so.
func TestUndecidedAtATunnel(t *testing.T) {
	t.Parallel()
	for engine, want := range map[facts.Engine]bool{tunnel: true, rootful: false} {
		findings := diagnosis.Explain(diagnosis.Input{Engine: engine, Server: on(bridge, published), Vantages: []facts.Vantage{host}},
			[]report.Probe{{Vantage: "host", Kind: report.KindPublishedLocalhost, Address: loopback, Failure: netprobe.Refused}}).Findings
		assert.Equal(t, len(findings), 1)
		assert.Equal(t, strings.Contains(findings[0].Hint, "one end of a tunnel"), want, findings[0].Hint)
	}
}
