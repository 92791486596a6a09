package netprobe

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const ellipsis = "…"

// Visible returns s in a form that is safe to print on a terminal and in a log:
// control and escape characters, line ends, bidirectional and other invisible
// formatting, unusual spaces and bytes that are not UTF-8 are written as Go
// escapes (`\n`, `\x1b`, `\u202e`). The result has at most limit bytes, and ends
// in "…" if something was cut off. A limit that has no room for that gives "".
//
// A backslash stays as it is, so that visible text does not change when it passes
// a second time.
func Visible(s string, limit int) string {
	var b strings.Builder
	end := 0 // what fits together with an ellipsis
	for len(s) > 0 {
		shown, size := visibleRune(s)
		if b.Len()+len(shown) > limit {
			if limit < len(ellipsis) {
				return ""
			}
			return b.String()[:end] + ellipsis
		}
		b.WriteString(shown)
		if b.Len()+len(ellipsis) <= limit {
			end = b.Len()
		}
		s = s[size:]
	}
	return b.String()
}

// visibleRune shows the first rune of s, and says how many bytes it has there.
func visibleRune(s string) (shown string, size int) {
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case r == utf8.RuneError && size == 1:
		return fmt.Sprintf(`\x%02x`, s[0]), size
	case unicode.IsPrint(r):
		return s[:size], size
	case r == '\n':
		return `\n`, size
	case r == '\r':
		return `\r`, size
	case r == '\t':
		return `\t`, size
	case r < utf8.RuneSelf:
		return fmt.Sprintf(`\x%02x`, r), size
	case r > 0xffff:
		return fmt.Sprintf(`\U%08x`, r), size
	}
	return fmt.Sprintf(`\u%04x`, r), size
}

// longestEscape is how many times longer than its source a visible text can be: a
// byte that is not UTF-8 takes four.
const longestEscape = 4

// shown is what a server sent, up to the limit, and marked if there was more.
// Lines stay lines, whether they end in LF or CRLF, and tabs stay tabs: neither
// makes a terminal overwrite other text.
func (p *prober) shown(body []byte) string {
	kept := body[:min(int64(len(body)), p.opts.BodyLimit)]
	lines := strings.Split(strings.ReplaceAll(string(kept), "\r\n", "\n"), "\n")
	for i, line := range lines {
		cells := strings.Split(line, "\t")
		for j, cell := range cells {
			cells[j] = Visible(cell, longestEscape*len(cell))
		}
		lines[i] = strings.Join(cells, "\t")
	}
	text := strings.Join(lines, "\n")
	if len(kept) < len(body) {
		text += ellipsis
	}
	return text
}
