// Package docs has the tests of this folder's pages and of README. They write what is
// generated: `go test ./docs -update`. The transcripts are those of a script, see
// transcript_test.go in the folder plugin.
package docs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
)

// isGenerated checks that a file has the generated text. With golden's flag -update it
// writes the text there.
func isGenerated(t *testing.T, file, text string) {
	t.Helper()
	if golden.FlagUpdate() {
		assert.NilError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		assert.NilError(t, os.WriteFile(file, []byte(text), 0o644))
		return
	}
	got, err := os.ReadFile(file)
	if !errors.Is(err, fs.ErrNotExist) {
		assert.NilError(t, err)
	}
	assert.Check(t, bytes.Equal(got, []byte(text)), "%s is not up to date: go test ./docs -update", file)
}

// generatedNote begins a page that is generated.
func generatedNote(from string) string {
	return "<!-- Generated from " + from + ": go test ./docs -update -->\n\n"
}

// cell is text in a cell of a Markdown table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", "<br>").Replace(text)
}

// code is text in a Markdown code span, which may have backticks of its own.
func code(text string) string {
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if len(fence) > 1 {
		return fence + " " + text + " " + fence
	}
	return fence + text + fence
}
