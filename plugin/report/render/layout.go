package render

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// maxWidth bounds a line of a table, in characters.
const maxWidth = 100

// columnGap is the space between two columns. Docker's formatter has the same.
const columnGap = 3

// document collects text line by line.
type document struct{ out bytes.Buffer }

func (d *document) line(format string, args ...any) {
	fmt.Fprintf(&d.out, format+"\n", args...)
}

// align puts rows into columns, as docker's formatter does.
func align(rows [][]string) string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 1, columnGap, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(table, strings.Join(row, "\t")) // in memory
	}
	_ = table.Flush()
	return text.String()
}

// writeLines writes the lines of a table, at most maxWidth wide, each with the
// color that paint gives it, and an empty line after them.
func writeLines(out *bytes.Buffer, table string, paint func(i int, line string) string) {
	for i, line := range strings.Split(strings.TrimRight(table, "\n"), "\n") {
		fmt.Fprintln(out, paint(i, cut(strings.TrimRight(line, " "))))
	}
	fmt.Fprintln(out)
}

// cut shortens a line to maxWidth characters.
func cut(s string) string {
	if utf8.RuneCountInString(s) <= maxWidth {
		return s
	}
	return string([]rune(s)[:maxWidth-1]) + "…"
}

// shorten leaves out the middle of a text. The beginning of an address says what
// it is, and its end is the port.
func shorten(text string, room int) string {
	runes := []rune(text)
	if len(runes) <= room {
		return text
	}
	tail := room / 2
	return string(runes[:room-tail-1]) + "…" + string(runes[len(runes)-tail:])
}

// pad fits text into a column of a width, and adds the gap to the next column.
func pad(text string, width int) string {
	text = shorten(text, width)
	return text + strings.Repeat(" ", width+columnGap-utf8.RuneCountInString(text))
}

// longestLine is the length of the longest line, in characters.
func longestLine(text string) int {
	longest := 0
	for line := range strings.Lines(text) {
		longest = max(longest, utf8.RuneCountInString(strings.TrimRight(line, "\n")))
	}
	return longest
}

// addOnce appends a value that the list does not have yet.
func addOnce[T comparable](list []T, value T) []T {
	if slices.Contains(list, value) {
		return list
	}
	return append(list, value)
}
