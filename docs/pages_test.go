package docs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
)

// pages are the pages that are written by people, relative to the top folder.
func pages(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("*.md")
	assert.NilError(t, err)
	all := []string{"README.md", "CONTRIBUTING.md"}
	for _, page := range pages {
		all = append(all, filepath.Join("docs", page))
	}
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", file))
	assert.NilError(t, err)
	return string(text)
}

// README is one page that people read to its end.
func TestREADMEIsShort(t *testing.T) {
	t.Parallel()
	lines := strings.Count(read(t, "README.md"), "\n")
	assert.Check(t, lines <= 160, "%d lines: move a part to a page in docs", lines)
}

// block is a block of code, and the comment on the line before it.
type block struct {
	marker, language, text string
}

var blocks = regexp.MustCompile("(?ms)(?:^<!-- ([^\n]*) -->\n)?^```([a-z]*)\n(.*?)^```$")

func blocksOf(text string) []block {
	var all []block
	for _, match := range blocks.FindAllStringSubmatch(text, -1) {
		all = append(all, block{match[1], match[2], match[3]})
	}
	return all
}

// What a page shows as the output of a command was printed by it: it is a transcript that
// a script or a test in the folder plugin checks, or a golden file.
func TestOutputIsReal(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("../testdata/script/*.txtar")
	assert.NilError(t, err)
	transcripts := []string{"nodes"} // of TestSwarm
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		assert.NilError(t, err)
		for _, word := range regexp.MustCompile(`(?m)^(?:\[[^\]]+\] )?transcript (\S+)`).FindAllStringSubmatch(string(text), -1) {
			transcripts = append(transcripts, word[1])
		}
	}
	var shown []string
	for _, page := range pages(t) {
		for _, block := range blocksOf(read(t, page)) {
			kind, name, _ := strings.Cut(block.marker, " ")
			switch kind {
			case "transcript":
				assert.Check(t, slices.Contains(transcripts, name), "%s: no script has `transcript %s`", page, name)
				shown = append(shown, name)
			case "golden":
				isGolden(t, page, name)
			default:
				assert.Check(t, block.language != "console" || !hasOutput(block.text), "%s shows output that nothing checks: put <!-- transcript NAME --> before it, or <!-- golden FILE -->\n%s", page, block.text)
			}
		}
	}
	for _, name := range transcripts {
		assert.Check(t, slices.Contains(shown, name), "no page has the transcript %s", name)
	}
}

// hasOutput says whether a console block has lines that are no commands.
func hasOutput(text string) bool {
	continues := false
	for line := range strings.Lines(text) {
		if !continues && !strings.HasPrefix(line, "$ ") {
			return true
		}
		continues = strings.HasSuffix(line, "\\\n")
	}
	return false
}

// The program in README is the one of the page about programs, which a test runs.
func TestProgramIsTested(t *testing.T) {
	program := func(page string) string {
		for _, block := range blocksOf(read(t, page)) {
			if block.language == "go" {
				return block.text
			}
		}
		return ""
	}
	got, want := program("README.md"), program("docs/from-programs.md")
	assert.Assert(t, got != "" && want != "")
	if golden.FlagUpdate() {
		text := strings.Replace(read(t, "README.md"), got, want, 1)
		assert.NilError(t, os.WriteFile("../README.md", []byte(text), 0o644))
		return
	}
	assert.Check(t, got == want, "README has another program than docs/from-programs.md: go test ./docs -update")
}

// isGolden checks that a block has a golden file's content, after its commands. With
// golden's flag -update it writes it there.
func isGolden(t *testing.T, page, file string) {
	t.Helper()
	content := read(t, file)
	text := read(t, page)
	marker := "<!-- golden " + file + " -->\n"
	begin := strings.Index(text, marker) + len(marker)
	begin += strings.Index(text[begin:], "\n") + 1 // after the fence
	for strings.HasPrefix(text[begin:], "$ ") {
		begin += strings.Index(text[begin:], "\n") + 1
	}
	end := begin + strings.Index(text[begin:], "```")
	if text[begin:end] == content {
		return
	}
	if !golden.FlagUpdate() {
		t.Errorf("%s differs from %s: go test ./docs -update", page, file)
		return
	}
	assert.NilError(t, os.WriteFile(filepath.Join("..", page), []byte(text[:begin]+content+text[end:]), 0o644))
}

// Every command that a page shows exists, with its flags.
func TestCommandsAreKnown(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, page := range pages(t) {
		for _, block := range blocksOf(read(t, page)) {
			for line := range strings.Lines(strings.ReplaceAll(block.text, "\\\n", " ")) {
				checked += checkCommands(t, page, line)
			}
		}
		for _, span := range regexp.MustCompile("`([^`\n]*)`").FindAllStringSubmatch(read(t, page), -1) {
			checked += checkCommands(t, page, span[1])
		}
	}
	assert.Check(t, checked > 50, "only %d commands were found", checked)
}

// ours is a command of nestprobe's within a line: what it begins with, and its words.
var ours = regexp.MustCompile("(?:docker nestprobe|docker-nestprobe|nestprobe) (run|in-container|diagnose|version)\\b([^|)>;`]*)")

// words are the words of a command, of which some are quoted.
var words = regexp.MustCompile(`(?:"[^"]*"|'[^']*'|[^\s"'])+`)

// checkCommands parses the commands of nestprobe's in a line, and returns how many it has.
func checkCommands(t *testing.T, page, line string) int {
	t.Helper()
	found := ours.FindAllStringSubmatch(line, -1)
	for _, match := range found {
		cmd, _, err := pluginCommand(t).Find([]string{match[1]})
		assert.NilError(t, err, "%s: %s", page, line)
		var args []string
		for _, word := range words.FindAllString(match[2], -1) {
			args = append(args, strings.NewReplacer(`"`, "", "'", "").Replace(word))
		}
		err = cmd.ParseFlags(args)
		var incomplete *pflag.ValueRequiredError // an option that a sentence names without its value
		assert.Check(t, err == nil || errors.As(err, &incomplete), "%s: %v: %s", page, err, line)
	}
	return len(found)
}

// Every link within the repository leads to a file, and to a heading of it.
func TestLinks(t *testing.T) {
	t.Parallel()
	causes, err := filepath.Glob("causes/*.md")
	assert.NilError(t, err)
	all := pages(t)
	for _, page := range causes {
		all = append(all, filepath.Join("docs", page))
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range all {
		for _, match := range link.FindAllStringSubmatch(blocks.ReplaceAllString(read(t, page), ""), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			file, heading, _ := strings.Cut(match[1], "#")
			target := filepath.Join(filepath.Dir(page), file)
			if file == "" {
				target = page
			}
			_, err := os.Stat(filepath.Join("..", target))
			if assert.Check(t, err == nil, "%s links to %s, which does not exist", page, match[1]) && heading != "" {
				assert.Check(t, slices.Contains(headingsOf(t, target), heading), "%s links to %s, which has no such heading", page, match[1])
			}
		}
	}
}

// headingsOf are the names that GitHub gives the headings of a page.
func headingsOf(t *testing.T, page string) []string {
	t.Helper()
	var all []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(blocks.ReplaceAllString(read(t, page), ""), -1) {
		name := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// The pages that people write are linked from README.
func TestPagesAreFound(t *testing.T) {
	t.Parallel()
	readme := []byte(read(t, "README.md"))
	for _, page := range append(pages(t)[1:], "docs/causes/README.md", "docs/report.schema.json", "CHANGELOG.md", "LICENSE") {
		assert.Check(t, bytes.Contains(readme, []byte("("+filepath.ToSlash(page))), "README does not link to %s", page)
	}
}
