package diagnosis

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// The ids are a promise to users: ids may be added, but none is ever renamed or
// removed.
var promised = []report.Cause{
	"docker-socket-missing", "docker-socket-permission", "socket-path-not-on-engine",
	"engine-unreachable", "endpoint-malformed", "context-broken", "clock-skew", "api-forbidden",
	"container-on-another-engine",
	"tls-cert-path-missing", "tls-required", "tls-not-expected", "tls-untrusted",
	"tls-hostname-mismatch", "tls-expired", "tls-client-cert-rejected",
	"api-version-unsupported", "engine-os-unsupported",
	"image-unavailable", "image-wrong-platform", "name-in-use", "port-in-use",
	"server-exited", "server-not-ready", "server-listens-on-loopback", "server-listens-elsewhere",
	"forwarder-accepts-alone", "localhost-is-this-container", "port-not-published",
	"published-on-loopback", "published-on-remote-host", "published-family-mismatch",
	"wrong-server", "networks-isolated", "network-internal", "network-none", "network-host-mode",
	"icc-disabled", "macvlan-host-isolation", "direct-routing-blocked", "container-network-remote",
	"host-alias-missing", "host-alias-unreachable", "default-bridge-has-no-dns",
	"http-proxy-interferes", "firewall-drops", "subnet-overlaps-route", "mtu-blackhole",
	"tls-on-plain-port", "not-http", "unexpected-status", "unexpected-body", "websocket-refused",
	"server-wants-tls", "server-speaks-http2", "host-header-refused", "server-closes", "server-silent",
	"server-udp-only", "server-overloaded", "name-leads-elsewhere",
	"host-listens-on-loopback", "in-container-endpoint-is-loopback", "leftovers",
	"container-not-started", "network-namespace-stale",
	"port-reserved", "address-pools-exhausted", "engine-firewall-broken",
}

func TestCauses(t *testing.T) {
	all := Causes()
	assert.Assert(t, slices.IsSorted(all))
	for _, c := range promised {
		assert.Check(t, slices.Contains(all, c), c)
	}
	for _, c := range all {
		assert.Check(t, slices.Contains(promised, c), "%s is new: add it to promised", c)
		assert.Check(t, isID.MatchString(string(c)), c)
	}
}

var isID = regexp.MustCompile(`^[a-z]+(-[a-z]+[0-9]?)*$`)

// A cause is one Go file and one explanation, both named after it.
func TestEveryCauseHasItsFile(t *testing.T) {
	assert.Check(t, len(slices.Compact(Causes())) == len(defined), "a cause is defined twice")
	for _, c := range Causes() {
		text, err := os.ReadFile(string(c) + ".go")
		assert.NilError(t, err)
		assert.Check(t, strings.Count(string(text), "= define(") == 1, "%s.go must define one cause", c)
	}
}

// Package agentimage, which must not import this one, has the constant too.
func TestEngineOSUnsupported(t *testing.T) {
	assert.Equal(t, EngineOSUnsupported, agentimage.EngineOSUnsupported)
}

// Only package plugin knows the flags of docker nestprobe.
func TestDefinitionsNameNoFlags(t *testing.T) {
	flags := regexp.MustCompile(`--(scheme|port|path|expect-status|expect-body|websocket|wait|from|timeout|pull|header|method)\b`)
	files, err := filepath.Glob("*.go")
	assert.NilError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		assert.NilError(t, err)
		if !strings.HasSuffix(file, "_test.go") {
			assert.Check(t, !flags.Match(text), "%s: %s", file, flags.Find(text))
		}
	}
}

func TestTitles(t *testing.T) {
	seen := map[string]report.Cause{}
	for _, c := range Causes() {
		title := Title(c)
		assert.Check(t, title != "", c)
		assert.Check(t, len(title) <= 72, "%s: the title is longer than 72 bytes", c)
		assert.Check(t, !strings.HasSuffix(title, "."), c)
		assert.Check(t, seen[title] == "", "%s has the title of %s", c, seen[title])
		seen[title] = c
	}
	assert.Equal(t, Title("unheard-of"), "")
}

func TestEveryCauseHasOneExplanation(t *testing.T) {
	for _, c := range Causes() {
		assert.Check(t, Explanation(c) != "", c)
	}
	files, err := fs.ReadDir(explanations, ".")
	assert.NilError(t, err)
	for _, file := range files {
		id, isText := strings.CutSuffix(file.Name(), ".md")
		assert.Check(t, isText && slices.Contains(Causes(), report.Cause(id)), file.Name())
	}
	for _, c := range []report.Cause{"", "unheard-of", "../cause.go", "leftovers.md"} {
		assert.Check(t, Explanation(c) == "", c)
	}
}

// Explanations need no wrapping on a terminal of 80 columns.
func TestExplanationsFitATerminal(t *testing.T) {
	for _, c := range Causes() {
		text, ended := strings.CutSuffix(Explanation(c), "\n")
		assert.Check(t, ended && !strings.HasSuffix(text, "\n"), "%s: does not end with one newline", c)
		for _, line := range strings.Split(text, "\n") {
			assert.Check(t, len(line) <= 79, "%s: %s", c, line)
			assert.Check(t, !strings.ContainsFunc(line, isNotASCII), "%s: %q", c, line)
			assert.Check(t, line == strings.TrimRight(line, " "), "%s: %q", c, line)
		}
	}
}

func isNotASCII(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }

func TestExplanationsHaveTheirParts(t *testing.T) {
	for _, c := range Causes() {
		parts := regexp.MustCompile(`(?m)^#.*\n`).Split(Explanation(c), -1)
		titles := regexp.MustCompile(`(?m)^#.*`).FindAllString(Explanation(c), -1)
		assert.DeepEqual(t, titles, []string{"## What it means", "## Error messages", "## How to recognize it", "## How to fix it"})
		assert.Equal(t, parts[0], "", c)
		for _, part := range []string{parts[1], parts[3], parts[4]} {
			assert.Check(t, len(strings.Fields(part)) > 20, "%s: too few words in\n%s", c, part)
		}
		assert.Check(t, quoted.MatchString(parts[3]), "%s: no other cause is named", c)
		assert.Check(t, strings.Contains(parts[4], "\n    "), "%s: no command to copy", c)
	}
}

// In explanations, backquotes are for causes.
var quoted = regexp.MustCompile("`([^`]*)`")

func TestExplanationsNameCausesThatExist(t *testing.T) {
	for _, c := range Causes() {
		for _, match := range quoted.FindAllStringSubmatch(Explanation(c), -1) {
			other := report.Cause(match[1])
			assert.Check(t, slices.Contains(Causes(), other), "%s names %s", c, other)
			assert.Check(t, other != c, "%s names itself", c)
		}
		assert.Check(t, strings.Count(Explanation(c), "`")%2 == 0, c)
	}
}
