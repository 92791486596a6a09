package render

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
	"gotest.tools/v3/golden"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

var (
	unnamed = report.Probe{Vantage: "client", Phase: "resolve", Failure: "name-not-found", Cause: "host-alias-missing"}
	inside  = report.Probe{Vantage: "client", OK: true, Phase: "answer", Status: 200, Timings: report.ProbeTimings{TotalMS: 2}}
	wrong   = report.Probe{Vantage: "client", Phase: "answer", Failure: "unexpected-status", Status: 404, Identity: "verified"}
)

// linuxEngine is the endpoint of an engine that supports host-gateway.
var linuxEngine = report.Endpoint{
	Context: "default", Host: "unix:///var/run/docker.sock", Transport: "unix",
	Engine: report.Engine{Product: "Docker Engine", Version: "28.5.2", APIVersion: "1.51", OS: "linux", Arch: "amd64"},
}

// fromClient is the Report of a client on the default bridge of a Linux engine.
func fromClient() *report.Report {
	r := report.New("in-container")
	r.OK, r.Endpoint = true, linuxEngine
	r.Accesses = []report.Access{{Method: "socket", OK: true}, {Method: "endpoint", Detail: "the endpoint is a socket"}}
	r.Servers = []report.Server{{Name: "nestprobe-1", Networks: []report.Network{{Name: "bridge", Driver: "bridge", Gateway: "172.17.0.1"}}}}
	r.Probes = []report.Probe{
		probe(0, report.KindContainerIP, "172.17.0.3:4647", inside),
		probe(0, report.KindPublishedGateway, "172.17.0.1:32768", inside),
		probe(0, report.KindPublishedHostAlias, "host.docker.internal:32768", unnamed),
		probe(0, report.KindPublishedLocalhost, "[::1]:32768", wrong),
	}
	r.Best = []report.Best{{Vantage: "client", Kind: report.KindContainerIP, URL: "http://172.17.0.3:4647"}}
	r.Findings = []report.Finding{{Cause: "host-alias-missing", Severity: report.SeverityInfo, Title: "The container has no such name for its host", Evidence: []string{"not shown"}}}
	return r
}

// overNetworks has modes and nodes, and a server on several networks.
func overNetworks() *report.Report {
	r := fromClient()
	r.Command, r.OK = "run", false
	r.Servers = append(r.Servers, report.Server{Name: "nestprobe-2", Node: "worker", Networks: []report.Network{{Name: "a", Driver: "macvlan"}, {Name: "b", Driver: "bridge"}}})
	r.Probes = append(r.Probes, probe(1, report.KindContainerIP, "10.1.0.2:4647", report.Probe{Vantage: "host", Failure: "connect-timeout"}))
	r.Nodes = []report.Node{{Name: "leader", Address: "10.0.0.1", State: "ready", Manager: true}, {Name: "worker", Address: "10.0.0.2", State: "down"}}
	r.Modes = []report.Mode{
		{Name: "bridge", Result: report.ModeWorks, Server: 0, From: []report.Reach{{Vantage: "client", OK: true, URL: "http://172.17.0.3:4647"}}},
		{Name: "macvlan", Result: report.ModePartly, Server: 1, Cause: "macvlan-host-isolation", From: []report.Reach{
			{Vantage: "client", Cause: "networks-isolated"}, {Vantage: "host", Cause: "macvlan-host-isolation"},
		}},
		{Name: "overlay", Result: report.ModeCannot, Server: -1, Detail: "this node is not a swarm manager"},
		{Name: "none", Result: report.ModeFailed, Server: -1, From: []report.Reach{{Vantage: "host"}, {Vantage: "client", OK: true}}},
	}
	return r
}

// failing has an error with evidence, a hint and commands.
func failing() *report.Report {
	r := unreached()
	r.Endpoint = report.Endpoint{Context: "far", Host: "tcp://user:secret@192.0.2.1:2376", Transport: "tcp", TLS: true}
	r.Error = "dialling tcp://user:secret@192.0.2.1:2376"
	r.Findings = []report.Finding{{
		Cause: "server-listens-on-loopback", Severity: report.SeverityError, Title: "The server listens only on loopback in its container",
		Evidence: append(slices.Repeat([]string{"from host: `127.0.0.1:1` | refused"}, maxMarkdownEvidence), "left out"), Hint: "have the server listen on 0.0.0.0", Commands: []string{"docker run …", "echo '```'"},
	}, {Severity: report.SeverityError, Title: "No cause was found"}}
	return r
}

func several() *report.Report {
	r := fromClient()
	r.Servers = append(r.Servers, r.Servers[0], report.Server{Name: "silent"})
	r.Probes = append(r.Probes,
		probe(1, report.KindPublishedEngineHost, "192.0.2.1:32769", inside),
		probe(1, report.KindPublishedGateway, "172.17.0.1:32769", inside),
		probe(2, report.KindContainerIP, "172.17.0.5:4647", unnamed))
	r.Best = append(r.Best,
		report.Best{Vantage: "client", Server: 1, Kind: report.KindPublishedGateway, URL: "http://172.17.0.1:32769"},
		report.Best{Vantage: "host", Server: 1, URL: "http://127.0.0.1:32769"})
	return r
}

func TestNamedFormatsGolden(t *testing.T) {
	local := reached()
	local.Endpoint = linuxEngine
	toolbox := reached()
	toolbox.Endpoint.Transport = "tcp"
	toolbox.Probes = append([]report.Probe{probe(0, report.KindPublishedEngineHost, "192.0.2.1:32768", good)}, toolbox.Probes[1:]...)
	toolbox.Best[0] = report.Best{Vantage: "host", Kind: report.KindPublishedEngineHost, URL: "http://192.0.2.1:32768"}
	toolbox.Probes[1].Address = "[fd00::1]:1"
	broken := report.New("run")
	broken.Error = "the engine\nis gone"
	for name, rep := range map[string]*report.Report{
		"reached": local, "toolbox": toolbox, "unreached": failing(), "relay": throughRelay(), "client": fromClient(),
		"networks": overNetworks(), "several": several(), "broken": broken, "empty": report.New("diagnose"), "checks": checked(), "contexts": sideBySide(),
	} {
		for _, format := range Names()[2:] {
			t.Run(format+"-"+name, func(t *testing.T) {
				golden.Assert(t, rendered(t, format, rep), format+"-"+name+".golden")
			})
		}
	}
}

func rendered(t *testing.T, format string, rep *report.Report) string {
	t.Helper()
	return renderWith(t, Options{Format: format}, rep)
}

func renderWith(t *testing.T, options Options, rep *report.Report) string {
	t.Helper()
	renderer, err := New(options)
	assert.NilError(t, err)
	var out bytes.Buffer
	assert.NilError(t, renderer.Write(&out, rep))
	return out.String()
}

// Checks have no addresses to draw, and prove no settings.
func TestFormatsOfAddressesNeedATarget(t *testing.T) {
	for _, format := range ofAddresses {
		_, err := New(Options{Format: format, Checks: true})
		assert.ErrorContains(t, err, "needs a TARGET")
		_, err = New(Options{Format: format, Checks: true, Quiet: true})
		assert.NilError(t, err)
	}
}

func TestNames(t *testing.T) {
	assert.Equal(t, len(Names()), len(formats)+1)
	for _, name := range Names()[1:] {
		assert.Check(t, formats[name] != nil, name)
	}
	assert.Check(t, OfReports("markdown") && !OfReports("json") && !OfReports("table"))
}

// hostile is a Report with the same text in every field, escaped.
func hostile(text string) *report.Report {
	rep := overNetworks()
	rep.Checks = checked().Checks
	filled, _ := fill(reflect.ValueOf(*rep), text).Interface().(report.Report)
	filled.Best[0].Vantage = filled.Probes[0].Vantage
	return escape(&filled)
}

func fill(v reflect.Value, text string) reflect.Value {
	filled := reflect.New(v.Type()).Elem()
	filled.Set(v)
	switch v.Kind() {
	case reflect.String:
		filled.SetString(text)
	case reflect.Struct:
		for i := range v.NumField() {
			filled.Field(i).Set(fill(v.Field(i), text))
		}
	case reflect.Slice:
		filled.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			filled.Index(i).Set(fill(v.Index(i), text))
		}
	default:
	}
	return filled
}

// hostileTexts have characters that some format interprets. Fuzzing begins with them.
var hostileTexts = []string{
	"", " ", `"]; end`, "end", "a|b", "`", "``a```", "```\n# x", "<img src=x onerror=pwned.push(1)>", "<!--", "</details>",
	"@someone", "#1", "o/r#1", "GH-1", "0123456789abcdef", "http://example.com", "www.example.com", "[a](http://b)", "[::1]:80", "[a]: b", ":smile:",
	"a\nend\nb", "a\r\nb", "%%{init: {}}%%", "%% x", "click a1 href", "style: #x;", "classDef: #x;", "#quot;", "&lt;", "1. a", "- a", "* a", "# a", "$$x$$", "fa:fa-ban",
	`\`, `a\|b`, `it's`, "$(touch x)", "a;touch x", "`touch x`", "a b", "~", "*", "x\x00y", "\u202e", "\xff", strings.Repeat("\"", 100), "日本語 é",
}

func FuzzNamedFormats(f *testing.F) {
	for _, text := range hostileTexts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rep := hostile(text)
		for format, check := range map[string]func(*testing.T, string){
			"mermaid": checkMermaid, "markdown": checkMarkdown, "env": checkEnv,
		} {
			var out bytes.Buffer
			assert.NilError(t, formats[format](&out, rep))
			check(t, out.String())
		}
		rep.Modes = nil
		var out bytes.Buffer
		assert.NilError(t, writeMermaid(&out, rep))
		checkMermaid(t, out.String())
		assert.Check(t, is.Equal(strings.Count(out.String(), ":::vantage\n"), 1))
		assert.Check(t, is.Equal(strings.Count(out.String(), ":::server\n"), 2))
		assert.Check(t, is.Equal(strings.Count(out.String(), ":::good\n")+strings.Count(out.String(), ":::bad\n"), len(rep.Probes)))
	})
}
