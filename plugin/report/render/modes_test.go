package render

import (
	"testing"

	"gotest.tools/v3/golden"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// allModes has a mode of every result.
func allModes() *report.Report {
	r := report.New("run")
	r.Servers = []report.Server{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	r.Modes = []report.Mode{
		{Name: "bridge", Result: report.ModeWorks, Server: 0, From: []report.Reach{{Vantage: "host", OK: true}, {Vantage: "peer", OK: true}}},
		{
			Name: "macvlan", Result: report.ModePartly, Cause: "macvlan-host-isolation", Server: 1,
			From:     []report.Reach{{Vantage: "host", Cause: "macvlan-host-isolation"}, {Vantage: "peer", OK: true}},
			Findings: []report.Finding{{Cause: "macvlan-host-isolation", Title: "Not from its own host"}},
		},
		{Name: "ipvlan-l2", Result: report.ModeCannot, Server: -1, Detail: "creating the network: operation not supported"},
		{Name: "ipv6-only", Result: report.ModeCannot, Server: -1, Cause: "api-version-unsupported", Detail: "the engine gives every network IPv4"},
		{
			Name: "mtu", Result: report.ModeFailed, Server: 2, From: []report.Reach{{Vantage: "host"}},
			Findings: []report.Finding{{Evidence: []string{"from host: no address answered"}}},
		},
	}
	row := func(server int, vantage string, kind report.Kind, ok bool) {
		r.Probes = append(r.Probes, report.Probe{Server: server, Vantage: vantage, Kind: kind, OK: ok, Status: 200, Body: "foo", URL: "http://x/"})
	}
	row(0, "host", report.KindPublishedLocalhost, true)
	row(0, "host", report.KindPublishedLocalhost, false)
	row(0, "host", report.KindContainerIP, true)
	row(0, "peer", report.KindContainerName, true)
	row(1, "host", report.KindContainerIP, false)
	row(1, "peer", report.KindContainerIP, true)
	row(2, "host", report.KindPublishedLocalhost, false)
	r.Best = []report.Best{{Vantage: "host", Server: 0, Kind: report.KindContainerIP, URL: "http://x"}}
	return r
}

func TestModes(t *testing.T) {
	for _, test := range []struct {
		golden string
		color  bool
	}{{"modes.golden", false}, {"modes-color.golden", true}} {
		t.Run(test.golden, func(t *testing.T) {
			golden.Assert(t, renderWith(t, Options{Color: test.color}, allModes()), test.golden)
		})
	}
}
