package render

import (
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// inert matches what may be outside of code: prose, and the marks of our own headings and
// tables.
var inert = regexp.MustCompile(`^(?:</?details>|<details><summary>Timings and version</summary>|[\pL\pN ,.;:'"()/=%…#*|-]*)$`)

// checkMarkdown reads the code and the tables of a report as GitHub does.
func checkMarkdown(t *testing.T, text string) {
	t.Helper()
	fence, columns := "", 0
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		trimmed := strings.TrimSpace(line)
		switch {
		case fence != "":
			if trimmed == fence {
				fence = ""
			}
			continue
		case strings.HasPrefix(trimmed, "```") && !strings.Contains(strings.TrimLeft(trimmed, "`"), "`"):
			fence = strings.Repeat("`", strings.IndexFunc(trimmed, func(r rune) bool { return r != '`' }))
			continue
		}
		rest, ok := withoutCode(line)
		assert.Check(t, ok, "code is not closed: %q", line)
		assert.Check(t, inert.MatchString(rest), "%q leaves %q", line, rest)
		assert.Check(t, !linked.MatchString(strings.ReplaceAll(rest, ": ", " ")), "%q", line)
		cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if !strings.HasPrefix(line, "|") {
			cells = 0
		}
		assert.Check(t, cells == 0 || columns == 0 || cells == columns, "%d cells for %d: %q", cells, columns, line)
		columns = cells
	}
	assert.Equal(t, fence, "")
	assert.Check(t, strings.HasSuffix(text, "</details>\n"))
}

// withoutCode removes code spans. A span ends with as many backticks as it began with.
func withoutCode(line string) (rest string, ok bool) {
	for {
		start := strings.Index(line, "`")
		if start < 0 {
			return rest + line, true
		}
		ticks := len(line[start:]) - len(strings.TrimLeft(line[start:], "`"))
		rest += line[:start]
		line = line[start+ticks:]
		end := closing(line, ticks)
		if end < 0 {
			return rest, false
		}
		line = line[end+ticks:]
	}
}

func closing(line string, ticks int) int {
	for i := 0; i < len(line); {
		run := len(line[i:]) - len(strings.TrimLeft(line[i:], "`"))
		if run == ticks {
			return i
		}
		i += max(1, run)
	}
	return -1
}

func TestMarkdownShowsNoCredentials(t *testing.T) {
	text := rendered(t, "markdown", failing())
	assert.Check(t, !strings.Contains(text, "secret"), text)
	assert.Check(t, !strings.Contains(text, "Host"), text)
}

func TestMarkdownFitsAnIssue(t *testing.T) {
	r := reached()
	for range 2000 {
		r.Probes = append(r.Probes, r.Probes...)
		if len(r.Probes) > 2000 {
			break
		}
	}
	text := rendered(t, "markdown", r)
	assert.Check(t, len(text) < 65_536, len(text))
	assert.Check(t, strings.Contains(text, "more addresses are left out here"))
}
