package render

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
	"gotest.tools/v3/golden"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// at is a probe of a target, whose identity was witnessed if it worked.
func at(vantage string, kind report.Kind, address string, failure netprobe.Failure, cause report.Cause) report.Probe {
	p := report.Probe{Vantage: vantage, Kind: kind, Address: address, URL: "tcp://" + address, Failure: failure, Cause: cause, Attempts: 1, Phase: netprobe.PhaseConnect, Identity: netprobe.IdentityUnverified}
	p.Timings = report.ProbeTimings{ConnectMS: 0.4, TotalMS: 101}
	p.NotExpected = cause == "published-on-loopback"
	if failure == "" {
		p.OK, p.Phase, p.Identity = true, netprobe.PhaseRequest, netprobe.IdentityWitnessed
	}
	return p
}

// fromContainer are the probes of a published server's addresses from a container, as they
// all fail on Linux.
func fromContainer(vantage, port string) []report.Probe {
	var probes []report.Probe
	for _, name := range []string{"host.docker.internal", "gateway.docker.internal", "host.containers.internal", "host.rancher-desktop.internal"} {
		probes = append(probes, at(vantage, report.KindPublishedHostAlias, name+":"+port, netprobe.NameNotFound, "host-alias-missing"))
	}
	return append(probes,
		at(vantage, report.KindPublishedLocalhost, "127.0.0.1:"+port, netprobe.Refused, "localhost-is-this-container"),
		at(vantage, report.KindPublishedAny, "0.0.0.0:"+port, netprobe.Refused, "localhost-is-this-container"))
}

var (
	fromHost  = report.Place{Vantage: "host", Name: "host", OnHost: true}
	fromFront = report.Place{Vantage: "network:front", Name: "network front"}
	fromSix   = report.Place{Vantage: "container:six", Name: "six", Apart: true, Networks: []string{"dual"}}
)

// aimed is a Report about web:80.
func aimed(state string, places ...report.Place) *report.Report {
	r := report.New("diagnose")
	r.Servers = []report.Server{{Name: "shop-web-1", Port: 80}}
	r.Target = report.Target{Name: "web:80", State: state, Places: places, Networks: []string{"front"}}
	r.Checks = []report.Check{{Category: "target", Name: "state", Result: report.CheckPass, Detail: state + ": shop-web-1, service web of project shop"}}
	return r
}

func publish(r *report.Report, hostIP string) {
	r.Servers[0].Published = []report.PortBinding{{HostIP: hostIP, HostPort: 8088}}
}

func use(r *report.Report, vantage string, kind report.Kind, address string) {
	r.Probes = append(r.Probes, at(vantage, kind, address, "", ""))
	r.Best = append(r.Best, report.Best{Vantage: vantage, Kind: kind, URL: "tcp://" + address})
}

func blame(r *report.Report, f report.Finding) {
	f.Severity = report.SeverityError
	r.Findings = append(r.Findings, f)
	for i, p := range r.Probes {
		if !p.OK && p.Cause == "" {
			r.Probes[i].Cause = f.Cause
		}
	}
}

// frequent are the cases that people have most often.
func frequent() map[string]*report.Report {
	healthy := aimed("healthy", fromHost, fromFront)
	publish(healthy, "127.0.0.1")
	use(healthy, "host", report.KindPublishedLocalhost, "127.0.0.1:8088")
	healthy.Probes = append(healthy.Probes, at("host", report.KindContainerIP, "172.18.0.2:80", "", ""), at("host", report.KindPublishedGateway, "172.18.0.1:8088", netprobe.Refused, "published-on-loopback"))
	use(healthy, "network:front", report.KindContainerName, "web:80")
	healthy.Probes = append(healthy.Probes, fromContainer("network:front", "8088")...)
	healthy.Findings = []report.Finding{{Cause: "published-on-loopback", Severity: report.SeverityInfo, Title: "The port is published only on the host's loopback"}}

	isolated := aimed("healthy", fromSix)
	isolated.Target.Networks, isolated.Target.Listens = []string{"front", "back (internal)"}, []string{"0.0.0.0:80"}
	isolated.Probes = []report.Probe{
		at("container:six", report.KindContainerName, "web:80", netprobe.NameNotFound, ""),
		at("container:six", report.KindContainerName, "shop-web-1:80", netprobe.NameNotFound, ""),
		at("container:six", report.KindContainerIP, "10.231.160.2:80", netprobe.ConnectTimeout, ""),
		at("container:six", report.KindContainerIP, "10.231.161.2:80", netprobe.ConnectTimeout, ""),
	}
	blame(isolated, report.Finding{
		Cause: "networks-isolated", Title: "Client and server have no network in common",
		Evidence: []string{"container six has no network in common with the server", "from container:six: 10.231.160.2:80 (container-ip): no answer"},
		Hint:     "connect both to one network", Commands: []string{"docker network connect front six"},
		Compose: []string{"six: { networks: [dual, front] }"}, Then: "web:80",
	})

	loopback := aimed("running", fromHost, fromFront)
	publish(loopback, "0.0.0.0")
	loopback.Target.Listens = []string{"127.0.0.1:80"}
	loopback.Probes = append([]report.Probe{
		at("host", report.KindPublishedLocalhost, "127.0.0.1:8088", netprobe.ClosedWithoutResponse, ""),
		at("host", report.KindContainerIP, "172.18.0.2:80", netprobe.Refused, ""),
		at("network:front", report.KindContainerName, "web:80", netprobe.Refused, ""),
		at("network:front", report.KindContainerIP, "172.18.0.2:80", netprobe.Refused, ""),
	}, fromContainer("network:front", "8088")...)
	blame(loopback, report.Finding{
		Cause: "server-listens-on-loopback", Title: "The server listens only on loopback in its container",
		Evidence: []string{"in the container, only 127.0.0.1 listens on port 80", "from host: 172.18.0.2:80 (container-ip): connection refused", "from network:front: 172.18.0.2:80 (container-ip): connection refused"},
		Hint:     "have the server listen on 0.0.0.0 inside its container: its loopback cannot be reached from outside",
	})

	elsewhere := aimed("running", fromHost)
	elsewhere.Probes = []report.Probe{at("host", report.KindContainerIP, "172.18.0.2:80", netprobe.Refused, "")}
	blame(elsewhere, report.Finding{
		Cause: "server-listens-elsewhere", Title: "The server does not listen on the port that was given",
		Evidence: []string{"in the container, nothing listens on port 80, and [::]:3000 does"}, Hint: "use the port that the server listens on (3000)",
	})

	notPublished := aimed("running", fromHost, fromFront)
	notPublished.Probes = []report.Probe{at("host", report.KindContainerIP, "172.18.0.2:80", netprobe.ConnectTimeout, "")}
	use(notPublished, "network:front", report.KindContainerName, "web:80")
	blame(notPublished, report.Finding{
		Cause: "port-not-published", Title: "The port is not published",
		Evidence: []string{"port 80 of container shop-web-1 has no binding"}, Hint: "publish the port when the container is created",
		Commands: []string{"docker run --publish 80 ..."}, Compose: []string{`web: { ports: ["80"] }`},
	})

	exited := aimed("exited")
	blame(exited, report.Finding{
		Cause: "server-exited", Title: "The server has exited",
		Evidence: []string{"container shop-web-1 exited with code 1, 3 s ago", "log: cannot open /etc/web.conf"},
		Hint:     "find in its log why it exits", Commands: []string{"docker logs shop-web-1"},
	})

	created := aimed("created")
	blame(created, report.Finding{
		Cause: "container-not-started", Title: "The container has not been started",
		Evidence: []string{"container shop-web-1 was created and never started"}, Hint: "start it", Commands: []string{"docker start shop-web-1"},
	})

	late := aimed("starting", fromHost)
	late.Probes = []report.Probe{at("host", report.KindContainerIP, "172.18.0.2:80", netprobe.Refused, "")}
	blame(late, report.Finding{
		Cause: "server-not-ready", Title: "Nothing listens on the server's port yet",
		Evidence: []string{"in the container, nothing listens on port 80"}, Hint: "wait, or find in its log what it waits for", Commands: []string{"docker logs shop-web-1"},
	})

	silent := aimed("unhealthy", fromHost)
	silent.Probes = []report.Probe{at("host", report.KindContainerIP, "172.18.0.2:80", netprobe.NoResponse, "")}
	blame(silent, report.Finding{
		Cause: "server-silent", Title: "The server accepts and does not answer",
		Evidence: []string{"the health check says unhealthy: it failed 3 times in a row, the last time with exit code 7"}, Hint: "find in its log what it waits for",
	})

	onHost := report.New("diagnose")
	onHost.Servers = []report.Server{{Name: "host", Port: 3000}}
	bridge := report.Place{Vantage: "network:bridge", Name: "network bridge"}
	onHost.Target = report.Target{Name: "host:3000", OnHost: true, Places: []report.Place{bridge}, Listens: []string{"127.0.0.1:3000"}}
	onHost.Probes = []report.Probe{
		at("network:bridge", report.KindHostGateway, "172.17.0.1:3000", netprobe.Refused, ""),
		at("network:bridge", report.KindHostAlias, "host.docker.internal:3000", netprobe.NameNotFound, "host-alias-missing"),
		at("network:bridge", report.KindHostAlias, "host.lima.internal:3000", netprobe.NameNotFound, "host-alias-missing"),
	}
	blame(onHost, report.Finding{
		Cause: "host-listens-on-loopback", Title: "The server on the host listens only on loopback",
		Evidence: []string{"on the host, only 127.0.0.1 listens on port 3000"}, Hint: "have the server listen on 172.17.0.1 too",
	})

	typed := aimed("running", fromHost)
	publish(typed, "0.0.0.0")
	typed.Target.Name, typed.Target.Meaning = "localhost:8088", "localhost:8088 is port 80 of container shop-web-1, which publishes it"
	use(typed, "host", report.KindPublishedLocalhost, "127.0.0.1:8088")

	several := aimed("running", fromHost, fromSix)
	publish(several, "0.0.0.0")
	use(several, "host", report.KindPublishedLocalhost, "127.0.0.1:8088")
	several.Probes = append(several.Probes, at("container:six", report.KindContainerName, "web:80", netprobe.NameNotFound, ""), at("container:six", report.KindPublishedGateway, "172.17.0.1:8088", netprobe.ConnectTimeout, ""))
	several.Probes = append(several.Probes, fromContainer("container:six", "8088")...)
	blame(several, report.Finding{
		Cause: "networks-isolated", Title: "Client and server have no network in common",
		Evidence: []string{"container six has no network in common with the server, and container names are known only on their networks"},
		Hint:     "connect both to one network", Commands: []string{"docker network connect front six"}, Then: "web:80",
	})
	several.Findings = append(several.Findings, report.Finding{
		Cause: "wrong-server", Severity: report.SeverityWarning, Title: "Another server answered at this address",
		Evidence: []string{"http://[::1]:8088/ was answered by process 4711 of this machine"}, Hint: "publish it elsewhere",
	})
	return map[string]*report.Report{
		"healthy": healthy, "networks-isolated": isolated, "server-listens-on-loopback": loopback, "server-listens-elsewhere": elsewhere,
		"port-not-published": notPublished, "server-exited": exited, "container-not-started": created, "server-not-ready": late,
		"server-silent": silent, "host-listens-on-loopback": onHost, "localhost": typed, "several": several,
	}
}

// terminal is one of 80 columns.
var terminal = Options{Width: 80}

func TestTargets(t *testing.T) {
	for name, rep := range frequent() {
		t.Run(name, func(t *testing.T) {
			short := renderWith(t, terminal, rep)
			golden.Assert(t, short, "target-"+name+".terminal.golden")
			for line := range strings.Lines(short) {
				assert.Check(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")) <= 80, line)
			}
			assert.Check(t, strings.Count(short, "\n") <= 20, short)
			assert.Check(t, !strings.Contains(short, "…"), short)

			whole := renderWith(t, Options{}, rep)
			golden.Assert(t, whole, "target-"+name+".golden")
			for _, p := range rep.Probes {
				assert.Check(t, is.Contains(whole, p.Address))
			}
		})
	}
}

// A word of a block that is wider than the terminal is not cut, and colors are of whole
// lines.
func TestTargetOnNarrowTerminal(t *testing.T) {
	rep := frequent()["networks-isolated"]
	assert.Check(t, is.Contains(renderWith(t, Options{Width: 30}, rep), "six cannot reach web:80\n  networks-isolated\n"))
	colored := renderWith(t, Options{Width: 80, Color: true}, rep)
	assert.Check(t, strings.HasPrefix(colored, "\x1b[31msix cannot reach web:80 "), "%q", colored)
}

// On a terminal run folds addresses of one kind that failed alike, and never shortens one.
func TestFoldedTable(t *testing.T) {
	rep := reached()
	rep.Probes = append(rep.Probes, fromContainer("host", "32768")...)
	golden.Assert(t, renderWith(t, terminal, rep), "table-terminal.golden")
	assert.Check(t, slices.ContainsFunc(strings.Split(renderWith(t, Options{}, rep), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "published-host-alias ") && strings.Contains(line, "host.rancher-desktop.internal:32768 ") && strings.Contains(line, " not expected ")
	}))
}

func TestUnknownFormat(t *testing.T) {
	for _, format := range []string{"yaml", "Table", "json2", "go-template"} {
		_, err := New(Options{Format: format})
		assert.Check(t, is.ErrorContains(err, "use table, json, markdown, mermaid, env, or a Go template"), format)
	}
	for _, format := range []string{"{{.OK}}", "ok {{.OK}}", "table {{.Kind}}", "two words", "a\tb"} {
		_, err := New(Options{Format: format})
		assert.NilError(t, err, format)
	}
}

// On a terminal, evidence does not repeat the rows of a table, and keeps what a certificate
// or an answer said.
func TestEvidenceWithoutRows(t *testing.T) {
	rep := report.New("run")
	refused, untrusted, again := at("host", report.KindContainerIP, "10.0.0.2:443", netprobe.Refused, ""), at("host", report.KindPublishedLocalhost, "127.0.0.1:8443", netprobe.TLSHostnameMismatch, ""), at("host", report.KindPublishedAny, "0.0.0.0:8443", netprobe.TLSHostnameMismatch, "")
	refused.Detail, untrusted.Detail, again.Detail = "connection refused", "the certificate is for shop.test", "the certificate is for shop.test"
	rep.Probes = []report.Probe{refused, untrusted, again}
	evidence := []string{
		"measured otherwise",
		"from host: 10.0.0.2:443 (container-ip): connection refused",
		"from host: 127.0.0.1:8443 (published-localhost): the certificate is for shop.test",
		"from host: 0.0.0.0:8443 (published-any): the certificate is for shop.test",
		"from elsewhere: 10.0.0.2:443 (container-ip): connection refused",
	}
	rep.Findings = []report.Finding{{Cause: "tls-hostname-mismatch", Severity: report.SeverityError, Evidence: evidence}}
	short, whole := renderWith(t, Options{Width: 200}, rep), renderWith(t, Options{}, rep)
	for i, line := range evidence {
		assert.Check(t, is.Contains(whole, line))
		assert.Check(t, is.Equal(strings.Contains(short, line), i != 1 && i != 3), "%s: %s", line, short)
	}
}
