package diagnosis_test

import (
	"net/netip"
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
