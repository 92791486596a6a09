//go:build linux

package plugin_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// proof is a line of a script that proves a cause, and fix one that shows that its hint
// fixes it.
var (
	proof = regexp.MustCompile(`(?m)^\s*(?:\[[^\]]+\] )?proves (\S+) (\S+)`)
	fix   = regexp.MustCompile(`(?m)^\s*(?:\[[^\]]+\] )?fixed (\S+)`)
)

// A script proves every cause. The table in CONTRIBUTING says which one, on which kinds
// of engine: `go test ./plugin -run TestEveryCauseIsProven -update` writes it.
func TestEveryCauseIsProven(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("../testdata/script/*.txtar")
	assert.NilError(t, err)
	rows := map[report.Cause][]string{}
	for _, script := range scripts {
		content, err := os.ReadFile(script)
		assert.NilError(t, err)
		kinds, _, _ := strings.Cut(strings.TrimPrefix(string(content), "# engines: "), "\n")
		proven := map[report.Cause][]string{}
		for _, line := range proof.FindAllStringSubmatch(string(content), -1) {
			cause := report.Cause(line[1])
			assert.Check(t, diagnosis.Title(cause) != "", "%s proves %s, which is no cause", script, cause)
			if !slices.Contains(proven[cause], line[2]) {
				proven[cause] = append(proven[cause], line[2])
			}
		}
		fixed := map[report.Cause]string{}
		for _, line := range fix.FindAllStringSubmatch(string(content), -1) {
			cause := report.Cause(line[1])
			fixed[cause] = "yes"
			assert.Check(t, len(proven[cause]) > 0, "%s fixes %s, which it does not prove", script, cause)
		}
		for cause, severities := range proven {
			rows[cause] = append(rows[cause], fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n",
				cause, strings.TrimSuffix(filepath.Base(script), ".txtar"), strings.Join(severities, ", "), fixed[cause], kinds))
		}
	}
	table := "| cause | scenario | severity | hint followed | engines |\n|---|---|---|---|---|\n"
	for _, cause := range diagnosis.Causes() {
		assert.Check(t, len(rows[cause]) > 0, "no script proves %s", cause)
		table += strings.Join(rows[cause], "")
	}
	compareTable(t, "../CONTRIBUTING.md", "causes", table)
}

// compareTable checks that a file has a generated table, between comments with its
// name. With golden's flag -update it writes the table there.
func compareTable(t *testing.T, file, name, table string) {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
	text, err := os.ReadFile(file)
	assert.NilError(t, err)
	before, rest, ok := bytes.Cut(text, []byte(begin))
	assert.Assert(t, ok, "%s has no %q", file, begin)
	_, after, ok := bytes.Cut(rest, []byte(end))
	assert.Assert(t, ok, "%s has no %q", file, end)
	want := string(before) + begin + table + end + string(after)
	if golden.FlagUpdate() {
		assert.NilError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	assert.Check(t, want == string(text), "the table of %s in %s is not up to date: go test ./plugin -run '^%s$' -update", name, file, t.Name())
}
