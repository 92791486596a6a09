package diagnosis_test

import (
	"net/netip"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// That another address works is no answer to whether the typed one does.
func TestTypedAddress(t *testing.T) {
	t.Parallel()
	const typed = "localhost:32768"
	server := on(own)
	server.Bindings = []facts.Binding{{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 32768}}
	works := row(report.KindContainerIP, ownIP, "")
	refused := row(report.KindPublishedLocalhost, typed, netprobe.Refused)
	refused.Resolved = []string{"127.0.0.1"}
	machine, client := facts.Vantage{Name: "host", Typed: typed}, inOwn
	client.Name, client.Typed = "container:client", typed
	elsewhere := server
	elsewhere.Bindings = []facts.Binding{{HostIP: netip.MustParseAddr("192.0.2.9"), HostPort: 32768}}
	for name, test := range map[string]struct {
		server  facts.Server
		vantage facts.Vantage
		typed   report.Probe
		want    string
	}{
		"works":                        {server, machine, row(report.KindPublishedLocalhost, typed, ""), ""},
		"refused":                      {server, machine, refused, "error : from host: localhost:32768 (published-localhost): refused; ruled out: the port is published at 127.0.0.1:32768 => use an address that works from there, such as 172.18.0.2:8080"},
		"published at another address": {elsewhere, machine, refused, "error port-not-published: the port is published at 192.0.2.9:32768, and not at localhost:32768"},
		"of a container":               {server, client, refused, "error localhost-is-this-container: the port is published at 127.0.0.1:32768 of the engine's host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := explainOne(test.server, test.vantage, works, test.typed)
			if test.want == "" {
				assert.Check(t, is.Equal(got, ""))
			}
			assert.Check(t, is.Contains(got, test.want))
		})
	}
}

// Where the user means one place, what is wrong at the others is for information.
func TestTypedAtOnePlace(t *testing.T) {
	t.Parallel()
	const typed = "localhost:32768"
	server := on(own)
	server.Bindings = []facts.Binding{{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 32768}}
	good, bad := row(report.KindPublishedLocalhost, typed, ""), row(report.KindPublishedGateway, gateway, netprobe.Refused)
	good.Vantage, bad.Vantage = "host", "network:bridge"
	vantages := []facts.Vantage{{Name: "host", Typed: typed}, {Name: "network:bridge", Container: true, Optional: true}}
	result := diagnosis.Explain(diagnosis.Input{Engine: rootful, Server: server, Vantages: vantages}, []report.Probe{good, bad})
	for _, f := range result.Findings {
		assert.Check(t, is.Equal(f.Severity, report.SeverityInfo), "%+v", f)
	}
	assert.Check(t, len(result.Findings) > 0)
}

// The name of a container is one of its addresses. Podman may have no DNS for it.
func TestTypedName(t *testing.T) {
	t.Parallel()
	client, works := inOwn, row(report.KindContainerIP, ownIP, "")
	client.Typed = "web:8080"
	refused := row(report.KindContainerName, client.Typed, netprobe.Refused)
	refused.Resolved = []string{"172.18.0.2"}
	assert.Check(t, is.Contains(explainOne(on(own), client, works, refused), "warning : from client: web:8080 (container-name): refused"))

	server := listens(on(own), "0.0.0.0:8080")
	server.Bindings = []facts.Binding{{HostIP: netip.IPv4Unspecified(), HostPort: 9090}}
	client.Typed = "web:9090"
	refused.Address = client.Typed
	assert.Check(t, is.Contains(explainOne(server, client, works, refused), "warning server-listens-elsewhere: port 9090 of the host leads to port 8080 of the container"))

	client.Typed = "web:8080"
	unnamed := row(report.KindContainerName, client.Typed, netprobe.NameNotFound)
	assert.Check(t, is.Contains(explainOne(on(own), client, works, unnamed), "warning : from client: web:8080 (container-name): name-not-found"))
	works.Vantage, unnamed.Vantage = client.Name, client.Name
	input := diagnosis.Input{Engine: facts.Engine{Podman: true}, Server: on(own), Vantages: []facts.Vantage{client}}
	assert.Check(t, is.Len(diagnosis.Explain(input, []report.Probe{works, unnamed}).Findings, 0))
}

// What this machine has not sent, no firewall has dropped.
func TestNotSent(t *testing.T) {
	t.Parallel()
	server := listens(on(own, published), "[::]:8080")
	host := facts.Vantage{Name: "host", Addresses: []netip.Addr{netip.MustParseAddr("172.18.0.1")}}
	unreachable := row(report.KindContainerIP, ownIP, netprobe.Unreachable)
	assert.Check(t, is.Contains(explainOne(server, host, unreachable), "error firewall-drops"))
	unreachable.NotSent = true
	assert.Check(t, is.Contains(explainOne(server, host, unreachable), "error : "))
	host.Routes = []facts.Route{{To: own.IPv4, Prefix: netip.PrefixFrom(own.IPv4, 32), Rejects: "blackhole"}}
	assert.Check(t, is.Contains(explainOne(server, host, unreachable), "error subnet-overlaps-route: this machine rejects packets for 172.18.0.2: it has the route blackhole 172.18.0.2/32"))
}

// A container that does not have its address any more is behind no firewall.
func TestLostAddress(t *testing.T) {
	t.Parallel()
	server := listens(on(own), "[::]:8080")
	server.Listeners.Addresses = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	got := explainOne(server, inOwn, row(report.KindContainerIP, ownIP, netprobe.ConnectTimeout))
	assert.Check(t, is.Contains(got, "error : "))
	assert.Check(t, is.Contains(got, "the container has no address 172.18.0.2, which the engine says it has on network"))
	server.Listeners.Addresses = append(server.Listeners.Addresses, own.IPv4)
	got = explainOne(server, inOwn, row(report.KindContainerIP, ownIP, netprobe.ConnectTimeout))
	assert.Check(t, is.Contains(got, "error firewall-drops"))
}

// What the typed address answers matters more than what others do.
func TestTypedAnswerComesFirst(t *testing.T) {
	t.Parallel()
	client := inContainer()
	client.Typed, client.Exact = "web:8443", true
	other := row(report.KindContainerIP, "172.18.0.2:8443", netprobe.TLSHostnameMismatch)
	typed := row(report.KindContainerName, client.Typed, netprobe.UnexpectedStatus)
	typed.Resolved = []string{"172.18.0.2"}
	assert.Check(t, is.Contains(explainOne(on(own), client, other, typed), "error unexpected-status"))
}

// A URL that a client cannot request is an error, and a name of the container a warning.
func TestTypedExactly(t *testing.T) {
	t.Parallel()
	client, works := inContainer(), row(report.KindContainerIP, ownIP, "")
	client.Typed = "web:8080"
	elsewhere := row(report.KindContainerName, client.Typed, netprobe.ConnectTimeout)
	elsewhere.Resolved = []string{"172.18.0.99"}
	assert.Check(t, is.Contains(explainOne(listens(on(own), "0.0.0.0:8080"), client, works, elsewhere), "warning name-leads-elsewhere"))
	client.Exact = true
	assert.Check(t, is.Contains(explainOne(listens(on(own), "0.0.0.0:8080"), client, works, elsewhere), "error name-leads-elsewhere"))
}

// A proxy is compared with the address that was typed, and with its scheme.
func TestTypedThroughProxy(t *testing.T) {
	t.Parallel()
	works := row(report.KindContainerIP, ownIP, "")
	works.URL = "http://" + ownIP
	for environment, want := range map[string]bool{
		"http_proxy=http://10.0.0.1:3128":  true,
		"https_proxy=http://10.0.0.1:3128": false,
	} {
		client := inContainer(environment, "no_proxy=web")
		client.Typed = ownIP
		got := explainOne(on(own), client, works)
		assert.Check(t, is.Equal(strings.Contains(got, "http-proxy-interferes"), want), "%s: %s", environment, got)
	}
}

// In a client, localhost is the client: the servers that may be meant are named.
func TestOwnLocalhost(t *testing.T) {
	t.Parallel()
	server := listens(on(own))
	server.Name, server.OwnLocalhost = "client", true
	refused := row(report.KindOwnLocalhost, "localhost:8080", netprobe.Refused)
	client := inContainer()
	client.Typed = refused.Address
	assert.Check(t, is.Contains(explainOne(server, client, refused), "error localhost-is-this-container: in container client, localhost is that container, and nothing listens on port 8080 in it"))
	server.MeantInstead = []facts.OtherServer{{Address: "db:8080", Where: "container db on network own"}, {Where: "a server on the engine's host"}}
	assert.Check(t, is.Contains(explainOne(server, client, refused), "=> use db:8080, if that is the server that you mean"))
	server.MeantInstead = append(server.MeantInstead, facts.OtherServer{Address: "web:8080", Where: "container web on network own"})
	assert.Check(t, is.Contains(explainOne(server, client, refused), "=> use the one that you mean: db:8080, web:8080"))
}
