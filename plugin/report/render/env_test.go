package render

import (
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// envLine matches a comment, or one of our variables whose value needs no quotes or
// has quotes that it cannot end.
var envLine = regexp.MustCompile(`^(?:# .*|(?:NESTPROBE_URL(?:_\d+)?|TESTCONTAINERS_HOST_OVERRIDE)=(?:[\w@%+=:,./\[\]-]+|'[^'\\]*'))$`)

func checkEnv(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		assert.Check(t, envLine.MatchString(strings.TrimSuffix(line, "\n")), "%q", line)
	}
}

// A host is set for Testcontainers only where every server is reached at it.
func TestTestcontainersNeedsEveryServer(t *testing.T) {
	r := several()
	assert.Check(t, strings.Contains(rendered(t, "env", r), "TESTCONTAINERS_HOST_OVERRIDE=172.17.0.1\n"))
	r.Probes[1].OK = false
	assert.Check(t, !strings.Contains(rendered(t, "env", r), "TESTCONTAINERS_HOST_OVERRIDE"))
}

// host-gateway is suggested only for engines on which it leads to the published port.
func TestExtraHostsIsProven(t *testing.T) {
	for name, change := range map[string]func(r *report.Report){
		"as measured":     func(*report.Report) {},
		"podman":          func(r *report.Report) { r.Endpoint.Engine.Product = "Podman Engine" },
		"old":             func(r *report.Report) { r.Endpoint.Engine.Version = "19.03.15" },
		"unknown":         func(r *report.Report) { r.Endpoint.Engine.Version = "dev" },
		"rootless":        func(r *report.Report) { r.Endpoint.Engine.Rootless = true },
		"desktop":         func(r *report.Report) { r.Endpoint.Engine.Desktop = true },
		"gateway fails":   func(r *report.Report) { r.Probes[1].OK = false },
		"another gateway": func(r *report.Report) { r.Servers[0].Networks[0].Name = "shop" },
		"alias refused":   func(r *report.Report) { r.Probes[2].Failure = "refused" },
		"another vantage": func(r *report.Report) { r.Probes[2].Vantage = "relay" },
	} {
		t.Run(name, func(t *testing.T) {
			r := fromClient()
			change(r)
			assert.Equal(t, strings.Contains(rendered(t, "env", r), "host-gateway"), name == "as measured")
		})
	}
}

// The gateways that lead to a server on the engine's host are of another kind.
func TestExtraHostsForTheHost(t *testing.T) {
	r := report.New("diagnose")
	r.Endpoint = linuxEngine
	missing, reached := unnamed, inside
	missing.Vantage, reached.Vantage = "network:bridge", "network:bridge"
	r.Probes = []report.Probe{probe(0, report.KindHostGateway, "172.17.0.1:80", reached), probe(0, report.KindHostAlias, "host.docker.internal:80", missing)}
	assert.Check(t, strings.Contains(rendered(t, "env", r), "host-gateway"))
	r.Probes[0].Vantage, r.Probes[1].Vantage = "network:shop", "network:shop"
	assert.Check(t, !strings.Contains(rendered(t, "env", r), "host-gateway"))
}
