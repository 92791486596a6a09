package docs

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/lookup"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Every cause has a page, and no page is left of one that was removed.
func TestCausePages(t *testing.T) {
	t.Parallel()
	index := generatedNote("the causes in plugin/diagnosis") + "# Causes\n\n" +
		"Each finding of nestprobe names one of these causes. If you have an error message, look it up in\n" +
		"[Symptoms](../symptoms.md).\n\n| cause | |\n|---|---|\n"
	want := []string{"README.md"}
	for _, cause := range diagnosis.Causes() {
		assert.Check(t, strings.HasSuffix(cause.Page(), "/docs/"+causePage(cause)), "%s", cause.Page())
		isGenerated(t, causePage(cause), pageOf(cause))
		index += fmt.Sprintf("| [`%s`](%s.md) | %s |\n", cause, cause, cell(diagnosis.Title(cause)))
		want = append(want, filepath.Base(causePage(cause)))
	}
	isGenerated(t, "causes/README.md", index)
	pages, err := filepath.Glob("causes/*.md")
	assert.NilError(t, err)
	for _, page := range pages {
		assert.Check(t, slices.Contains(want, filepath.Base(page)), "%s belongs to no cause: remove it", page)
	}
	assert.Check(t, golden.FlagUpdate() || len(pages) == len(want), "%d pages, want %d", len(pages), len(want))
}

func causePage(cause report.Cause) string { return "causes/" + string(cause) + ".md" }

func pageOf(cause report.Cause) string {
	return generatedNote("plugin/diagnosis/"+string(cause)+".md") +
		fmt.Sprintf("# %s\n\n`%s`\n\n", diagnosis.Title(cause), cause) +
		markdown(diagnosis.Explanation(cause)) +
		fmt.Sprintf("\n---\n`docker nestprobe diagnose --explain %s` prints this page. See [all causes](README.md).\n", cause)
}

// named is a code span that may name a cause.
var named = regexp.MustCompile("`[a-z0-9-]+`")

// markdown is an explanation with links to the causes that it names, and with its
// placeholders, such as <name>, as text.
func markdown(explanation string) string {
	var out strings.Builder
	for line := range strings.Lines(explanation) {
		if !strings.HasPrefix(line, "    ") {
			line = strings.NewReplacer("<", "&lt;", "*", `\*`).Replace(line)
			line = named.ReplaceAllStringFunc(line, func(span string) string {
				id := strings.Trim(span, "`")
				if diagnosis.Title(report.Cause(id)) == "" {
					return span
				}
				return fmt.Sprintf("[%s](%s.md)", span, id)
			})
		}
		out.WriteString(line)
	}
	return out.String()
}

// The page of symptoms has every error message of every explanation, with the causes in
// the order of `--explain MESSAGE`.
func TestSymptoms(t *testing.T) {
	t.Parallel()
	causesOf := map[string][]report.Cause{}
	for _, cause := range diagnosis.Causes() {
		messages := messagesOf(diagnosis.Explanation(cause))
		assert.Check(t, len(messages) > 0, "%s has no error messages", cause)
		for _, message := range messages {
			causesOf[message] = append(causesOf[message], cause)
		}
	}
	messages := make([]string, 0, len(causesOf))
	for message := range causesOf {
		messages = append(messages, message)
	}
	slices.SortFunc(messages, func(a, b string) int {
		if order := strings.Compare(sortKey(a), sortKey(b)); order != 0 {
			return order
		}
		return strings.Compare(a, b)
	})
	page := generatedNote("the error messages in plugin/diagnosis/*.md") + "# Symptoms\n\n" +
		"Find your error message here, or let nestprobe find it:\n\n```console\n" +
		"$ docker nestprobe diagnose --explain \"connect ECONNREFUSED 127.0.0.1:8080\"\n```\n\n" +
		"`...` stands for words that differ, such as a name or a port. A message can have several causes: which\n" +
		"one it is, `docker nestprobe diagnose CONTAINER:PORT` measures, or without `CONTAINER:PORT` if the\n" +
		"message is about the engine.\n" +
		"\n## The most frequent ones\n\n| part of an error message | look at first |\n|---|---|\n"
	for _, part := range frequent {
		page += fmt.Sprintf("| %s | %s |\n", code(part), strings.Join(links(firstCauses(t, part)), ", "))
	}
	initial := ""
	for _, message := range messages {
		if first := heading(message); first != initial {
			initial = first
			page += fmt.Sprintf("\n## %s\n\n| error message | causes |\n|---|---|\n", first)
		}
		page += fmt.Sprintf("| %s | %s |\n", cell(code(message)), strings.Join(links(ranked(message, causesOf[message])), ", "))
	}
	isGenerated(t, "symptoms.md", page)
}

// frequent are parts of error messages that people search for.
var frequent = []string{
	"Connection refused", "ECONNREFUSED", "Connection reset by peer", "Empty reply from server",
	"Server disconnected", "socket hang up", "i/o timeout", "ETIMEDOUT", "Connection timed out", "No route to host",
	"Could not resolve host", "ENOTFOUND", "no such host", "host.docker.internal",
	"Cannot connect to the Docker daemon", "permission denied while trying to connect", "client version is too old",
	"certificate signed by unknown authority", "wrong version number", "502 Bad Gateway", "Invalid Host header",
	"port is already allocated", "exec format error", "pull access denied",
}

// firstCauses are the first causes of `--explain PART`.
func firstCauses(t *testing.T, part string) []report.Cause {
	t.Helper()
	matches := lookup.WithMessage(part)
	assert.Check(t, len(matches) > 0, "--explain %q finds nothing", part)
	var causes []report.Cause
	for _, match := range matches[:min(len(matches), 4)] {
		causes = append(causes, match.Cause)
	}
	return causes
}

// sortKey is what a message is sorted by: its letters and digits, without case.
func sortKey(message string) string {
	return strings.TrimLeft(strings.ToLower(message), " ./[(<'\"*%-#:")
}

// heading is the heading under which a message stands: its first letter.
func heading(message string) string {
	if first := strings.ToUpper(sortKey(message)[:1]); first >= "A" && first <= "Z" {
		return first
	}
	return "Digits"
}

// messagesOf are the indented lines of an explanation's part about error messages.
func messagesOf(explanation string) []string {
	_, part, _ := strings.Cut(explanation, "## Error messages\n")
	part, _, _ = strings.Cut(part, "\n## ")
	var messages []string
	for line := range strings.Lines(part) {
		if message, ok := strings.CutPrefix(line, "    "); ok {
			messages = append(messages, strings.TrimSpace(message))
		}
	}
	return messages
}

// ranked are the causes that have a message, in the order of `--explain MESSAGE`. Those
// that it does not list, since others fit better, come last.
func ranked(message string, causes []report.Cause) []report.Cause {
	matches := lookup.WithMessage(message)
	place := func(cause report.Cause) int {
		place := slices.IndexFunc(matches, func(m lookup.Match) bool { return m.Cause == cause })
		if place < 0 {
			return len(matches)
		}
		return place
	}
	return slices.SortedStableFunc(slices.Values(causes), func(a, b report.Cause) int { return place(a) - place(b) })
}

func links(causes []report.Cause) []string {
	all := make([]string, len(causes))
	for i, cause := range causes {
		all[i] = fmt.Sprintf("[%s](%s)", cause, causePage(cause))
	}
	return all
}
