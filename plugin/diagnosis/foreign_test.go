package diagnosis_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// explainForeign explains rows from a container that the engine does not run, one finding a
// line.
func explainForeign(engine facts.Engine, s facts.Server, rows ...report.Probe) string {
	for i := range rows {
		rows[i].Vantage = "container"
	}
	v := facts.Vantage{Name: "container", Foreign: true}
	var lines []string
	for _, f := range diagnosis.Explain(diagnosis.Input{Engine: engine, Server: s, Vantages: []facts.Vantage{v}}, rows).Findings {
		lines = append(lines, strings.Join([]string{string(f.Severity), string(f.Cause), strings.Join(f.Evidence, "; "), f.Hint, strings.Join(f.Commands, "; ")}, " | "))
	}
	return strings.Join(lines, "\n")
}

// In a container that the engine does not run, neither localhost nor the gateway is the
// engine's, and no advice uses them.
func TestForeignContainer(t *testing.T) {
	t.Parallel()
	nested := facts.Engine{Host: "docker", Major: 28}
	localhost := row(report.KindPublishedLocalhost, loopback, netprobe.Refused)
	itsGateway := row(report.KindPublishedGateway, "192.168.0.1:32768", netprobe.Refused)
	alias := row(report.KindPublishedHostAlias, "host.docker.internal:32768", netprobe.NameNotFound)
	serverIP := row(report.KindContainerIP, ip, netprobe.ConnectTimeout)
	for name, c := range map[string]struct {
		engine facts.Engine
		server facts.Server
		rows   []report.Probe
		want   []string
		not    []string
	}{
		"the endpoint's host is reached": {
			nested, on(bridge, published), []report.Probe{row(report.KindPublishedEngineHost, "docker:32768", ""), localhost, serverIP, itsGateway, alias},
			[]string{"info | localhost-is-this-container", "info | container-network-remote"},
			[]string{"published-on-remote-host", "host-alias-missing", "networks-isolated", "firewall-drops"},
		},
		"a socket of another engine": {
			rootful, listens(on(bridge, published), "0.0.0.0:8080"), []report.Probe{localhost, serverIP, itsGateway},
			[]string{"error | container-network-remote | network bridge is of an engine that does not run this container", "192.168.0.1 is not known to lead to the engine's host", "run the client in a container of that engine"},
			[]string{"firewall-drops", "network connect", "host-alias-unreachable"},
		},
		"published on the loopback of the other engine": {
			nested, on(bridge, onLocal), []report.Probe{row(report.KindPublishedEngineHost, "docker:32768", netprobe.Refused), itsGateway},
			[]string{"error | published-on-loopback", "docker run --publish 32768:8080 ..."},
			[]string{"192.168.0.1"},
		},
		"not published": {
			rootful, on(bridge), []report.Probe{serverIP},
			[]string{"error | port-not-published", "docker run --publish 8080 ..."},
			[]string{"127.0.0.1"},
		},
		"a server on the other engine's host": {
			rootful, listens(facts.Server{Name: "the host", Host: true, HostNetwork: true, Port: 3000}, "0.0.0.0:3000"),
			[]report.Probe{row(report.KindHostGateway, "192.168.0.1:3000", netprobe.Refused)},
			[]string{"error | container-network-remote"},
			[]string{"firewall-drops", "iptables"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := explainForeign(c.engine, c.server, c.rows...)
			for _, want := range c.want {
				assert.Check(t, is.Contains(got, want))
			}
			for _, not := range c.not {
				assert.Check(t, !strings.Contains(got, not), got)
			}
		})
	}
}

// The endpoint's host is not advised if it has refused the published port: a proxy for the
// Docker API may run there.
func TestEndpointOfAProxy(t *testing.T) {
	t.Parallel()
	refusing := row(report.KindPublishedEngineHost, "192.0.2.7:32768", netprobe.Refused)
	for name, test := range map[string]struct {
		rows []report.Probe
		want string
	}{
		"reached": {[]report.Probe{row(report.KindPublishedEngineHost, "192.0.2.7:32768", "")}, "use 192.0.2.7 instead of localhost"},
		"refused": {[]report.Probe{refusing, row(report.KindContainerIP, ip, "")}, "the endpoint may be that of a proxy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows := append([]report.Probe{}, test.rows...)
			rows = append(rows, row(report.KindPublishedLocalhost, loopback, netprobe.Refused))
			for i := range rows {
				rows[i].Vantage = host.Name
			}
			found := diagnosis.Explain(diagnosis.Input{Engine: remote, Server: on(bridge, published), Vantages: []facts.Vantage{host}}, rows).Findings
			var hints []string
			for _, f := range found {
				hints = append(hints, f.Hint)
			}
			assert.Check(t, is.Contains(strings.Join(hints, "\n"), test.want))
		})
	}
}
