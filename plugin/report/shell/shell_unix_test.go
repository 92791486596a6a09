//go:build unix

package shell

import (
	"os/exec"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// FuzzLine has a real shell read the words.
func FuzzLine(f *testing.F) {
	for _, word := range []string{"a", "", "it's", "$(echo x)", "`echo x`", "a b", "\\", "'\"'\"'", "!x", "~", "-n", "ü", "a\nb", "$'\\n'", "*", "\\\\'", "%s"} {
		f.Add(word, word)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		line := POSIX.Line("%s %s NAME=%s %s", Text(`printf %s\\0`), a, b, []string{b, a})
		if line == "" {
			return
		}
		assert.Assert(t, !strings.ContainsAny(line, "\n\r\x00\x1b"), "%q", line)
		out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", line).CombinedOutput()
		assert.NilError(t, err, "%s: %s", line, out)
		assert.Equal(t, string(out), strings.Join([]string{a, "NAME=" + b, b, a}, "\x00")+"\x00", line)
	})
}

// FuzzAdd has a real shell read the value.
func FuzzAdd(f *testing.F) {
	for _, entry := range []string{"a", "", "it's", "$(echo x)", "`echo x`", "a b", "\\", "\"", "!x", "~", "ü"} {
		f.Add(entry)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		line := POSIX.Add("LIST", true, entry)
		if line == "" {
			return
		}
		out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", "LIST=before; "+line+`; printf %s "$LIST"`).CombinedOutput()
		assert.NilError(t, err, "%s: %s", line, out)
		assert.Equal(t, string(out), "before,"+entry, line)
		assert.Assert(t, !strings.Contains(line, "\n"))
	})
}
