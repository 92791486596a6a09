package diagnosis_test

import (
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/listening"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/proxy"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// explainOne returns the findings about one vantage, one a line: severity, cause, evidence,
// hint and commands.
func explainOne(s facts.Server, v facts.Vantage, rows ...report.Probe) string {
	for i := range rows {
		rows[i].Vantage = v.Name
	}
	var lines []string
	for _, f := range diagnosis.Explain(diagnosis.Input{Engine: rootful, Server: s, Vantages: []facts.Vantage{v}}, rows).Findings {
		lines = append(lines, fmt.Sprintf("%s %s: %s => %s: %s", f.Severity, f.Cause, strings.Join(f.Evidence, "; "), f.Hint, strings.Join(f.Commands, "; ")))
	}
	return strings.Join(lines, "\n")
}

// inContainer is the vantage of a container that the user named, with an environment.
func inContainer(environment ...string) facts.Vantage {
	v := facts.Vantage{Name: "container:client", Container: true, Networks: []facts.Network{own}}
	if settings := proxy.FromEnvironment(facts.Client{Environment: environment}.Getenv); !settings.None() {
		v.Proxies = settings
	}
	return v
}

// A proxy in the environment of the client is a warning, if it catches the names by which
// the server is reached, or else its addresses.
func TestProxyOfTheClient(t *testing.T) {
	t.Parallel()
	const set = "HTTP_PROXY=http://me:hushhush@proxy:3128"
	name, alias := row(report.KindContainerName, "web:8080", ""), row(report.KindContainerName, "db:8080", "")
	address, localhost := row(report.KindContainerIP, ownIP, ""), row(report.KindPublishedLocalhost, loopback, "")
	for test, c := range map[string]struct {
		environment []string
		rows        []report.Probe
		want        string // what the finding contains; empty for none
	}{
		"none":               {nil, []report.Probe{name, address}, ""},
		"set":                {[]string{set}, []report.Probe{name, alias, address}, "warning http-proxy-interferes: HTTP_PROXY in the environment of container client sends requests for web, db to the proxy proxy:3128; it has no NO_PROXY"},
		"command":            {[]string{set}, []report.Probe{name, alias}, "docker run -e NO_PROXY=web,db -e no_proxy=web,db ..."},
		"other entries":      {[]string{set, "no_proxy=*.internal"}, []report.Probe{name}, "docker run -e NO_PROXY='*.internal,web' -e no_proxy='*.internal,web' ..."},
		"lower case":         {[]string{"https_proxy=proxy:3128"}, []report.Probe{name}, "https_proxy in the environment"},
		"the last one":       {[]string{set, "HTTP_PROXY="}, []report.Probe{name}, ""},
		"an exception":       {[]string{set, "NO_PROXY=web"}, []report.Probe{name, address}, ""},
		"one of two names":   {[]string{set, "NO_PROXY=db"}, []report.Probe{name, alias}, ""},
		"a range":            {[]string{set, "NO_PROXY=172.16.0.0/12"}, []report.Probe{address}, ""},
		"only for addresses": {[]string{set, "NO_PROXY=172.16.0.0/12"}, []report.Probe{name, address}, "requests for web to"},
		"no name works":      {[]string{set}, []report.Probe{row(report.KindContainerIP, ownIP, "")}, "requests for 172.18.0.2 to"},
		"localhost":          {[]string{set}, []report.Probe{localhost}, ""},
		"not a URL":          {[]string{"HTTP_PROXY=http://%zz"}, []report.Probe{name}, ""},
	} {
		t.Run(test, func(t *testing.T) {
			t.Parallel()
			got := explainOne(on(own), inContainer(c.environment...), append([]report.Probe{}, c.rows...)...)
			assert.Check(t, is.Contains(got, c.want))
			assert.Equal(t, got == "", c.want == "", got)
			assert.Check(t, !strings.Contains(got, "hushhush"), got)
		})
	}
	// The server is not reached at all: that comes first.
	got := explainOne(on(own), inContainer(set), row(report.KindContainerIP, ownIP, netprobe.Refused))
	assert.Check(t, !strings.Contains(got, "http-proxy-interferes"), got)
}

// What the state of a container says of its network decides before any row.
func TestNetworkOfAContainer(t *testing.T) {
	t.Parallel()
	stale := &report.Fault{Cause: diagnosis.NetworkNamespaceStale, Evidence: []string{"restarted"}, Hint: "restart it"}
	failed := row(report.KindContainerIP, ownIP, netprobe.Unreachable)
	down := on(own)
	down.Down = stale
	onHost := facts.Vantage{Name: "container:client", OnHost: true}
	hostPort := func(bindings ...facts.Binding) facts.Server {
		return facts.Server{Name: "the host", Host: true, HostNetwork: true, Port: 32768, PublishedBy: []facts.Publisher{{Container: "web", Port: 8080, Bindings: bindings}}}
	}
	for name, test := range map[string]struct {
		server  facts.Server
		vantage facts.Vantage
		row     report.Probe
		want    string // what the findings contain; empty for none
	}{
		"the server is disconnected": {
			facts.Server{Name: "web", Down: diagnosis.Detached("web", "shop", false)}, host, failed,
			"error network-none: container web is on no network, although it was started on shop => connect it to a network: docker network connect shop web",
		},
		"and its network is gone": {
			facts.Server{Name: "web", Down: diagnosis.Detached("web", "shop", true)}, host, failed,
			"docker network create shop; docker network connect shop web",
		},
		"the client is disconnected": {
			on(own), facts.Vantage{Name: "container:client", Container: true, NoNetwork: true, Detached: "bridge"}, failed,
			"docker network connect bridge client",
		},
		"the server's network is stale":                        {down, host, failed, "error network-namespace-stale: restarted"},
		"another server answers at the addresses it had":       {down, host, row(report.KindContainerIP, ownIP, ""), "error network-namespace-stale: restarted"},
		"the client's network is stale":                        {on(own), facts.Vantage{Name: "container:client", Container: true, Down: stale}, failed, "error network-namespace-stale: restarted"},
		"a client on the host's network, by name":              {on(own), onHost, row(report.KindContainerName, "web:8080", netprobe.NameNotFound), "info default-bridge-has-no-dns: container client is on the network of the engine's host"},
		"a client on the host's network, by address":           {on(own), onHost, row(report.KindContainerIP, ownIP, ""), ""},
		"a port of the host with nothing behind":               {hostPort(published), inBridge, row(report.KindHostGateway, gateway, netprobe.ClosedWithoutResponse), "error forwarder-accepts-alone: port 32768 of the host accepts and closes: it is published, and the forwarder has nothing behind it that answers; it is published by web:8080"},
		"a port of the host that is published on loopback":     {listens(hostPort(onLocal), "127.0.0.1:32768"), inBridge, row(report.KindHostGateway, gateway, netprobe.Refused), "error published-on-loopback: container web publishes the port only at 127.0.0.1:32768 of the engine's host"},
		"a published port of the host that nothing listens on": {listens(hostPort(published)), inBridge, row(report.KindHostGateway, gateway, netprobe.Refused), "error : "},
		"a family that the client lacks":                       {listens(hostPort(published6), "[::]:32768"), inBridge, row(report.KindHostAddress, gateway6, netprobe.Unreachable), "error : "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows := []report.Probe{test.row}
			if test.vantage.OnHost {
				rows = append(rows, row(report.KindContainerIP, ownIP, "")) // which works
			}
			got := explainOne(test.server, test.vantage, rows...)
			assert.Check(t, is.Contains(got, test.want))
			assert.Equal(t, got == "", test.want == "", got)
		})
	}
}

// What listens, and where, decides what to do.
func TestWhatListens(t *testing.T) {
	t.Parallel()
	onHost := func(addresses ...string) facts.Server {
		return listens(facts.Server{Name: "the host", Host: true, HostNetwork: true, Port: 8080}, addresses...)
	}
	ipv6Only := func(s facts.Server) facts.Server {
		s.Listeners.Sockets[0].DualStack = listening.DualStackNo
		return s
	}
	unix := listens(on(own))
	unix.Listeners.Unix = []string{"/run/web.sock"}
	shares := listens(facts.Server{Name: "web", HostNetwork: true, Port: 8080}, "127.0.0.1:8080")
	refused := func(kind report.Kind, address string) []report.Probe {
		return []report.Probe{row(kind, address, netprobe.Refused)}
	}
	answered := row(report.KindContainerName, "web:8080", netprobe.UnexpectedStatus)
	answered.Status = 502
	for name, test := range map[string]struct {
		server  facts.Server
		vantage facts.Vantage
		rows    []report.Probe
		want    string // what the findings contain
	}{
		"the host at one of its addresses": {
			onHost("192.0.2.7:8080"), inBridge, refused(report.KindHostGateway, "172.17.0.1:8080"),
			"error server-listens-elsewhere: on the host, only 192.0.2.7 listens on port 8080, and nothing at 172.17.0.1",
		},
		"the host only for IPv6": {
			ipv6Only(onHost("[::]:8080")), inBridge, refused(report.KindHostGateway, "172.17.0.1:8080"),
			"error server-listens-elsewhere: on the host, only ::, which takes only IPv6, listens on port 8080",
		},
		"a container only for IPv6": {
			ipv6Only(listens(on(own), "[::]:8080")), inOwn, refused(report.KindContainerIP, ownIP),
			"=> have the server listen on 0.0.0.0 too, or on [::] for both",
		},
		"a container on the host's network, on loopback": {
			shares, inBridge, refused(report.KindPublishedGateway, "172.17.0.1:8080"),
			"error host-listens-on-loopback: on the host, only 127.0.0.1 listens on port 8080; container web has --network host",
		},
		"only a Unix socket": {
			unix, inOwn, refused(report.KindContainerIP, ownIP), "=> have the server listen on TCP port 8080, not only on a Unix socket",
		},
		"a proxy without its backend": {
			listens(on(own), "[::]:8080"), inOwn, []report.Probe{answered}, "error unexpected-status: 502 (Bad Gateway) says that the server is a proxy",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Check(t, is.Contains(explainOne(test.server, test.vantage, test.rows...), test.want))
		})
	}
}

// A name that the client's hosts file has is not looked up anywhere else.
func TestNameInTheHostsFile(t *testing.T) {
	t.Parallel()
	name := row(report.KindContainerName, "web:8080", netprobe.ConnectTimeout)
	name.Resolved = []string{"192.0.2.4"}
	client := inOwn
	client.Name, client.Hosts = "container:client", []facts.ExtraHost{{Name: "db", Address: "192.0.2.5"}, {Name: "web", Address: "192.0.2.4"}}
	got := explainOne(on(own), client, name, row(report.KindContainerIP, ownIP, ""))
	assert.Check(t, is.Contains(got, "container client was started with this entry of its hosts file"))
	assert.Check(t, is.Contains(got, "=> start the client again without the entry of its hosts file for web"))
	client.Hosts = client.Hosts[:1]
	got = explainOne(on(own), client, name, row(report.KindContainerIP, ownIP, ""))
	assert.Check(t, is.Contains(got, "=> remove what gives the name web to another address in container client"))
}

// The engine connects a container to a network only when it has left the network none.
func TestLeaveNetworkNone(t *testing.T) {
	t.Parallel()
	failed := row(report.KindContainerIP, ownIP, netprobe.Unreachable)
	got := explainOne(on(own), facts.Vantage{Name: "container:client", Container: true, NoNetwork: true}, failed)
	assert.Check(t, is.Contains(got, "container client is on the network none, which has only loopback"))
	assert.Check(t, is.Contains(got, "docker network disconnect none client; docker network connect NETWORK client"))
	got = explainOne(facts.Server{Name: "web", NoNetwork: true, StartedByUs: true}, host, failed)
	assert.Check(t, strings.HasSuffix(got, ": docker run --network NETWORK ..."), got)
	assert.Check(t, !strings.Contains(got, "disconnect"), got)
	onPodman := diagnosis.Input{Engine: facts.Engine{Podman: true}, Server: facts.Server{Name: "web", NoNetwork: true}, Vantages: []facts.Vantage{host}}
	commands := diagnosis.Explain(onPodman, nil).Findings[0].Commands
	assert.Check(t, is.DeepEqual(commands, []string{"docker rm -f web", "docker run --name web --network NETWORK ..."}))
}

// A client that has only internal networks stays on them: the server joins one. A published
// port is no advice, since nothing was seen to answer there.
func TestClientOnInternalNetwork(t *testing.T) {
	t.Parallel()
	shut := facts.Network{Name: "shut", Driver: "bridge", Internal: true}
	apart := facts.Network{Name: "apart", Driver: "bridge", Internal: true, ICCDisabled: true}
	back := with(own, func(n *facts.Network) { n.Internal = true })
	other := facts.Server{Name: "web", Port: 8080, Networks: []facts.Network{own}, Bindings: []facts.Binding{published}}
	both := facts.Server{Name: "web", Port: 8080, Networks: []facts.Network{back, bridge}, Bindings: []facts.Binding{published}}
	timeout := row(report.KindContainerIP, ownIP, netprobe.ConnectTimeout)
	for name, test := range map[string]struct {
		server   facts.Server
		networks []facts.Network
		row      report.Probe
		want     string // the end of the finding
	}{
		"server elsewhere":            {other, []facts.Network{shut}, timeout, "=> connect the server to network shut too: the client then reaches it by name, and still nothing else: docker network connect shut web"},
		"the host's gateway":          {other, []facts.Network{shut}, row(report.KindPublishedGateway, gateway, netprobe.ConnectTimeout), ": docker network connect shut web"},
		"a network that isolates":     {other, []facts.Network{apart, shut}, timeout, ": docker network connect shut web"},
		"only one that isolates":      {other, []facts.Network{apart}, timeout, ": docker network connect apart web"},
		"server in the run":           {facts.Server{Port: 8080, Networks: []facts.Network{own}, StartedByUs: true}, []facts.Network{shut}, timeout, ": docker network connect shut CONTAINER"},
		"already on the server's own": {both, []facts.Network{back}, row(report.KindPublishedGateway, gateway, netprobe.ConnectTimeout), "=> connect the client to another network of the server too: docker network create NETWORK; docker network connect NETWORK web; docker network connect NETWORK client"},
	} {
		v := facts.Vantage{Name: "container:client", Container: true, Networks: test.networks}
		got := explainOne(test.server, v, test.row)
		assert.Check(t, strings.HasPrefix(got, "error network-internal: container client has only network "), "%s: %s", name, got)
		assert.Check(t, strings.HasSuffix(got, test.want), "%s: %s", name, got)
		assert.Check(t, !strings.Contains(got, "published port"), "%s: %s", name, got)
	}
}

// The MTU in the command is that of the path, if it was measured and is smaller than that of
// the server's network; else it is an example.
func TestMTUOfTheCommand(t *testing.T) {
	t.Parallel()
	stalled := row(report.KindContainerIP, ownIP, netprobe.StalledBody)
	for name, test := range map[string]struct {
		networkMTU, pathMTU int
		want                string
	}{
		"not known":                {0, 0, "for example 1400, or let ICMP type 3 pass: docker network create -o com.docker.network.driver.mtu=1400 NETWORK"},
		"that of Ethernet":         {0, 1500, "mtu=1400 NETWORK"},
		"smaller":                  {0, 1280, "give the containers' network the MTU of the path, or let ICMP type 3 pass; if large answers still stall, a link is narrower still: docker network create -o com.docker.network.driver.mtu=1280 NETWORK"},
		"smaller than the network": {9000, 1500, "mtu=1500 NETWORK"},
		"that of the network":      {1420, 1420, "mtu=1400 NETWORK"},
		"that of a small network":  {1380, 1380, "for example 1280, or let ICMP type 3 pass: docker network create -o com.docker.network.driver.mtu=1280 NETWORK"},
	} {
		v := facts.Vantage{Name: "host", Asked: []facts.SecondAnswer{
			second(stalled, netprobe.AskLonger, netprobe.Result{Failure: netprobe.StalledBody}),
			second(stalled, netprobe.AskSmall, netprobe.Result{OK: true, PathMTU: test.pathMTU}),
		}}
		got := explainOne(on(with(own, func(n *facts.Network) { n.MTU = test.networkMTU })), v, stalled)
		assert.Check(t, strings.HasPrefix(got, "error mtu-blackhole: "), "%s: %s", name, got)
		assert.Check(t, strings.HasSuffix(got, test.want), "%s: %s", name, got)
	}
}

// Packets to a published port that are dropped for a client on another network are no proof
// of a firewall, if a container on the server's network reaches the port.
func TestPublishedPortIsIsolatedToo(t *testing.T) {
	t.Parallel()
	server := listens(on(own, published), "[::]:8080")
	outside, inside := inBridge, inOwn
	outside.Name, inside.Name = "network:bridge", "network:own"
	atGateway := func(v facts.Vantage, failure netprobe.Failure) report.Probe {
		r := row(report.KindPublishedGateway, gateway, failure)
		r.Vantage = v.Name
		return r
	}
	toServer := row(report.KindContainerIP, ownIP, netprobe.ConnectTimeout)
	toServer.Vantage = outside.Name
	for name, test := range map[string]struct {
		inside report.Probe
		cause  report.Cause
	}{
		"reached from its network": {atGateway(inside, ""), diagnosis.NetworksIsolated},
		"reached from nowhere":     {atGateway(inside, netprobe.ConnectTimeout), diagnosis.FirewallDrops},
	} {
		in := diagnosis.Input{Engine: rootful, Server: server, Vantages: []facts.Vantage{outside, inside}}
		rows := []report.Probe{toServer, atGateway(outside, netprobe.ConnectTimeout), test.inside}
		assert.Check(t, is.Equal(diagnosis.Explain(in, rows).Probes[1].Cause, test.cause), name)
	}
}

// A server on the host's network need not listen at each of the host's addresses, and a port
// that nobody named need not be published.
func TestHealthyOnTheHostsNetwork(t *testing.T) {
	t.Parallel()
	server := facts.Server{Name: "web", Port: 8080, HostNetwork: true, PublishRequested: true, PublishByDefault: true}
	reached, other := row(report.KindPublishedLocalhost, "127.0.0.1:8080", ""), row(report.KindPublishedLocalhost, "[::1]:8080", netprobe.Refused)
	own := row(report.KindPublishedEngineHost, "[fd00::7]:8080", netprobe.Refused)
	assert.Check(t, is.Equal(explainOne(server, host, reached, other, own), ""))
	server.PublishByDefault = false // the user has named one
	assert.Check(t, is.Contains(explainOne(server, host, reached, other, own), "info network-host-mode: "))
	assert.Check(t, is.Contains(explainOne(server, host, other), "error network-host-mode: "))
}

// What the user has set for the resolver of the client is evidence about names that it does
// not find, once, and about no addresses.
func TestResolverOfTheClient(t *testing.T) {
	t.Parallel()
	v := facts.Vantage{Name: "container:client", Container: true, Networks: []facts.Network{bridge}, Resolver: "--dns 192.0.2.53 --dns-search example"}
	const settings = "container client was started with --dns 192.0.2.53 --dns-search example"
	unknown, late := row(report.KindContainerName, "web:8080", netprobe.NameNotFound), row(report.KindContainerName, "app:8080", netprobe.NameTimeout)
	got := explainOne(on(own), v, unknown, late)
	assert.Check(t, is.Equal(strings.Count(got, settings), 1), got)
	got = explainOne(on(own), v, row(report.KindContainerIP, ownIP, netprobe.ConnectTimeout))
	assert.Check(t, !strings.Contains(got, settings), got)
	v.Resolver = ""
	assert.Check(t, !strings.Contains(explainOne(on(own), v, unknown, late), "was started with"))
}
