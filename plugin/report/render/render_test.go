package render

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
	"gotest.tools/v3/golden"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

func probe(server int, kind report.Kind, address string, result report.Probe) report.Probe {
	result.Server, result.Kind, result.Address = server, kind, address
	result.URL = "http://" + address + "/foo"
	if result.Vantage == "" {
		result.Vantage = "host"
	}
	result.Attempts = 1
	return result
}

var (
	good    = report.Probe{OK: true, Phase: "websocket", Status: 200, Body: "foo", Identity: "verified", WebSocket: "ok", Timings: report.ProbeTimings{TotalMS: 1.234}}
	refused = report.Probe{Phase: "connect", Failure: "refused", Identity: "unverified", WebSocket: "skipped", Timings: report.ProbeTimings{TotalMS: 0.2}}
	slow    = report.Probe{Phase: "connect", Failure: "connect-timeout", Identity: "unverified", WebSocket: "skipped", Timings: report.ProbeTimings{TotalMS: 1003.4}}
	other   = report.Probe{Phase: "answer", Failure: "wrong-server", Status: 200, Identity: "mismatch", WebSocket: "skipped", Timings: report.ProbeTimings{TotalMS: 12.6}}
	noWS    = report.Probe{Phase: "websocket", Failure: "no-response", Status: 200, Identity: "verified", WebSocket: "failed"}
)

func reached() *report.Report {
	r := report.New("run")
	r.OK = true
	r.Servers = []report.Server{{Name: "nestprobe-1"}}
	r.Probes = []report.Probe{
		probe(0, "published-localhost", "127.0.0.1:32768", good),
		probe(0, "published-localhost", "[::1]:32768", other),
		probe(0, "published-gateway", "172.17.0.1:32768", refused),
		probe(0, "container-ip", "[fd00:231:124:0:242:ac11:2:3]:4647", slow),
	}
	r.Best = []report.Best{{Vantage: "host", Kind: "published-localhost", URL: "http://127.0.0.1:32768"}}
	r.Findings = []report.Finding{{
		Cause: "wrong-server", Severity: report.SeverityWarning, Title: "Another server answered at this address",
		Evidence: []string{"http://[::1]:32768/foo answered"}, Hint: "publish it elsewhere", Commands: []string{"docker run …"},
	}}
	return r
}

func unreached() *report.Report {
	r := report.New("run")
	r.Servers = []report.Server{{}, {}}
	r.Probes = []report.Probe{
		probe(0, "published-localhost", "127.0.0.1:1", noWS),
		probe(1, "published-localhost", "127.0.0.1:2", refused),
	}
	return r
}

func throughRelay() *report.Report {
	r := report.New("in-container")
	r.Servers = []report.Server{{}}
	inside, outside := good, good
	inside.Vantage, outside.Vantage = "relay", "host"
	outside.Body = "two\nlines\n"
	r.Probes = []report.Probe{
		probe(0, "container-ip", "172.17.0.3:4647", inside),
		probe(0, "relay", "127.0.0.1:32770", outside),
	}
	r.Best = []report.Best{
		{Vantage: "host", Kind: "relay", URL: "http://127.0.0.1:32770"},
		{Vantage: "relay", Kind: "container-ip", URL: "http://172.17.0.3:4647"},
	}
	return r
}

func TestGolden(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		report  *report.Report
	}{
		"table":             {Options{}, reached()},
		"table-color":       {Options{Color: true}, reached()},
		"table-unreached":   {Options{}, unreached()},
		"table-relay":       {Options{}, throughRelay()},
		"table-template":    {Options{Format: `table {{.Kind}}\t{{.URL}}\t{{.Failure}}`}, reached()},
		"json":              {Options{Format: "json"}, reached()},
		"json-empty":        {Options{Format: "json"}, report.New("run")},
		"template":          {Options{Format: "{{.OK}} {{json .Best}}"}, reached()},
		"template-newlines": {Options{Format: `{{range .Probes}}{{.Address}}{{"\n"}}{{end}}`}, reached()},
		"quiet":             {Options{Quiet: true}, reached()},
		"quiet-unreached":   {Options{Quiet: true}, unreached()},
		"quiet-relay":       {Options{Quiet: true}, throughRelay()},
	} {
		t.Run(name, func(t *testing.T) {
			golden.Assert(t, renderWith(t, test.options, test.report), name+".golden")
		})
	}
}

func TestTableFits(t *testing.T) {
	var out bytes.Buffer
	r := reached()
	for i := range r.Probes {
		r.Probes[i].Address = strings.Repeat("long", 20)
	}
	r.Servers = append(r.Servers, report.Server{})
	assert.NilError(t, writeHuman(&out, r, layout.Screen{Width: 100}))
	for line := range strings.Lines(out.String()) {
		assert.Check(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")) <= 100, line)
	}
	out.Reset()
	assert.NilError(t, writeHuman(&out, r, layout.Screen{}))
	assert.Check(t, !strings.Contains(strings.ReplaceAll(out.String(), "docker run …", ""), "…"))
	assert.Check(t, is.Contains(out.String(), strings.Repeat("long", 20)+" "))
}

func TestTemplateThatCannotBeParsed(t *testing.T) {
	for _, format := range []string{"{{.Nothing", "table {{.Nothing", "{{nothing}}", "table {{nothing}}", "{{if .OK}}"} {
		for _, checks := range []bool{false, true} {
			renderer, err := New(Options{Format: format, Checks: checks})
			assert.Check(t, is.ErrorContains(err, "invalid format: "), format)
			assert.Check(t, renderer == nil)
		}
	}
}

// Docker's own commands execute a template only on what they have found, too.
func TestTemplateThatCannotBeExecuted(t *testing.T) {
	const noField = `invalid format: template: :1:2: executing "" at <.Nothing>: can't evaluate field Nothing in type `
	for _, test := range []struct {
		options Options
		want    string
	}{
		{Options{Format: "{{.Nothing}}"}, noField + "*report.Report"},
		{Options{Format: "table {{.Nothing}}"}, noField + "*render.probeRow"},
		{Options{Format: "table {{.Nothing}}", Checks: true}, noField + "*render.checkRow"},
		{Options{Format: "{{(index .Probes 99).URL}}"}, `invalid format: template: :1:3: executing "" at <index .Probes 99>: error calling index: index out of range: 99`},
	} {
		renderer, err := New(test.options)
		assert.NilError(t, err, test.options.Format)
		rep := reached()
		rep.Checks = checked().Checks
		var out bytes.Buffer
		assert.Check(t, is.Error(renderer.Write(&out, rep), test.want))
		assert.Check(t, is.Equal(out.String(), ""))
	}
}

// Every failure of netprobe is in the table of words.
func TestFailureWords(t *testing.T) {
	for _, failure := range []netprobe.Failure{
		netprobe.NameNotFound, netprobe.NameTimeout, netprobe.Refused, netprobe.Unreachable, netprobe.ConnectTimeout,
		netprobe.Reset, netprobe.ClosedWithoutResponse, netprobe.NoResponse, netprobe.TLSUntrusted,
		netprobe.TLSHostnameMismatch, netprobe.TLSExpired, netprobe.TLSOnPlainPort, netprobe.TLSClosed,
		netprobe.TLSHandshake, netprobe.NotHTTP, netprobe.UnexpectedStatus, netprobe.UnexpectedBody,
		netprobe.TruncatedBody, netprobe.StalledBody, netprobe.WrongServer, netprobe.WebSocketRefused, netprobe.Cancelled, netprobe.NotProbed,
	} {
		text, ok := failures[failure]
		assert.Check(t, ok, "no words for %s", failure)
		assert.Check(t, len(text) <= 30, "%q would not fit", text)
	}
	assert.Equal(t, failureWords(report.Probe{Failure: "brand-new"}), "brand new")
}

// No format writes control characters, which a terminal would interpret.
func TestControlCharactersAreEscaped(t *testing.T) {
	const evil, shown = "we\x1b[2Jb\u202e", `we\x1b[2Jb\u202e`
	rep := unreached()
	rep.Servers[0].Name, rep.Servers[0].Networks = evil, []report.Network{{Name: evil}}
	rep.Probes[0].Address, rep.Probes[0].Vantage, rep.Probes[0].Body = evil, "network:"+evil, "two\n\tlines"
	for _, format := range []string{"", "json", "table {{.Vantage}}\t{{.Address}}", "{{range .Servers}}{{.Name}}{{range .Networks}}{{.Name}}{{end}}{{end}}"} {
		renderer, err := New(Options{Format: format})
		assert.NilError(t, err)
		var out bytes.Buffer
		assert.NilError(t, renderer.Write(&out, rep))
		assert.Check(t, !strings.ContainsAny(out.String(), "\x1b\u202e"), "%q", out.String())
		if format == "json" {
			assert.Check(t, is.Contains(out.String(), strings.ReplaceAll(shown, `\`, `\\`)))
			assert.Check(t, is.Contains(out.String(), `two\n\tlines`))
		}
	}
	assert.Equal(t, rep.Servers[0].Name, evil) // the Report itself stays
}

// A line end or a tab in a name adds no row or cell to a table.
func TestARowIsALine(t *testing.T) {
	const forged = "web\nfrom\there"
	rep := reached()
	rep.Probes[0].Address, rep.Probes[0].Vantage = forged, "host"
	rep.Probes[0].Body = "two\n\tlines"
	for _, options := range []Options{{}, {Color: true}, {Format: `table {{.Address}}\t{{.Kind}}`}} {
		renderer, err := New(options)
		assert.NilError(t, err)
		var out bytes.Buffer
		assert.NilError(t, renderer.Write(&out, rep))
		text := out.String()
		if options.Format == "" {
			_, text, _ = strings.Cut(text, "\n\n") // the address to use
		}
		rows, rest, _ := strings.Cut(text, "\n\n")
		assert.Check(t, is.Equal(strings.Count(strings.TrimRight(rows, "\n"), "\n"), len(rep.Probes)), rows)
		assert.Check(t, is.Contains(rows, `web\nfrom\there`))
		assert.Check(t, options.Format != "" || strings.HasSuffix(rest, "two\n\tlines\n"), rest)
	}
}

// Programs read lists in JSON, so no list is null.
func TestNoListIsNull(t *testing.T) {
	rep := report.Report{Modes: []report.Mode{{}}, Servers: []report.Server{{}}, Findings: []report.Finding{{}}}
	assert.Check(t, !strings.Contains(rendered(t, "json", &rep), "null"))
	assert.Check(t, !strings.Contains(rendered(t, "{{json .}}", &rep), "null"))
}
