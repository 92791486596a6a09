package render

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

// checked has a check of every result.
func checked() *report.Report {
	r := report.New("diagnose")
	r.Checks = []report.Check{
		{Category: "context", Name: "context", Result: report.CheckPass, Detail: "default, by default"},
		{Category: "context", Name: report.CheckOfEndpoint, Result: report.CheckPass, Detail: "tcp://192.0.2.1:2376, from DOCKER_HOST"},
		{Category: "endpoint", Name: "socket", Result: report.CheckSkipped, Detail: "the endpoint is not a socket"},
		{Category: "endpoint", Name: "TLS files", Result: report.CheckWarning, Cause: "tls-expired", Detail: "a certificate of the client expires in 9 days"},
		{Category: "endpoint", Name: "answer", Result: report.CheckFailure, Cause: "engine-unreachable", Detail: "connection to 192.0.2.1:2376 refused, nothing listens there, and so on for longer than fits"},
		{Category: "engine", Name: report.CheckOfEngine, Result: report.CheckInconclusive, Detail: "there was no answer within 3s"},
		{Category: "networks", Name: "container proxies", Result: report.CheckCrashed, Detail: "the check itself: out of memory"},
	}
	r.Findings = []report.Finding{
		{Cause: "tls-expired", Severity: report.SeverityWarning, Title: "A certificate of the client expires in 9 days", Hint: "renew the certificate"},
		{Cause: "engine-unreachable", Severity: report.SeverityError, Title: "No engine can be reached at the Docker endpoint", Evidence: []string{"phase reached: connect"}},
		{Cause: "engine-unreachable", Severity: report.SeverityError},
		{Cause: "leftovers", Severity: report.SeverityInfo},
		{Severity: report.SeverityError},
	}
	return r
}

// sideBySide has the checks of three contexts, one of which cannot be reached.
func sideBySide() *report.Report {
	r := report.New("diagnose")
	for _, c := range checked().Checks {
		c.Context = "dead"
		r.Checks = append(r.Checks, c)
	}
	r.Checks = append(r.Checks,
		report.Check{Context: "expiring", Name: report.CheckOfEndpoint, Result: report.CheckPass, Detail: "tcp://192.0.2.2:2376, from context"},
		report.Check{Context: "expiring", Name: "TLS files", Result: report.CheckWarning, Cause: "tls-expired", Detail: "soon"},
		report.Check{Context: "expiring", Name: report.CheckOfEngine, Result: report.CheckPass, Detail: "Docker Engine 28.5.2"},
		report.Check{Context: "good", Name: report.CheckOfEndpoint, Result: report.CheckPass, Detail: "unix:///var/run/docker.sock, by default"},
		report.Check{Context: "good", Name: "socket", Result: report.CheckInconclusive, Detail: "the socket did not answer in time"},
		report.Check{Context: "good", Name: report.CheckOfEngine, Result: report.CheckPass, Detail: "Docker Engine 20.10.24"})
	return r
}

func TestChecksGolden(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		report  *report.Report
	}{
		"checks":          {Options{}, checked()},
		"checks-color":    {Options{Color: true}, checked()},
		"checks-quiet":    {Options{Quiet: true}, checked()},
		"checks-template": {Options{Checks: true, Format: `table {{.Category}}\t{{.Name}}\t{{.Result}}\t{{.Cause}}`}, checked()},
		"checks-contexts": {Options{}, sideBySide()},
	} {
		t.Run(name, func(t *testing.T) {
			golden.Assert(t, renderWith(t, test.options, test.report), name+".golden")
		})
	}
}

func TestChecksFit(t *testing.T) {
	long := strings.Repeat("long ", 100)
	for _, name := range []string{"", long} {
		var out bytes.Buffer
		writeChecks(&out, []report.Check{{Context: name, Category: "context", Name: long, Result: report.CheckInconclusive, Detail: long}}, layout.Screen{Width: 100})
		for line := range strings.Lines(out.String()) {
			assert.Check(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")) <= 100, line)
		}
	}
}
