package render

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// screen is what a table is written for. Off a terminal nothing is shortened.
type screen struct {
	color bool
	width int // of the terminal, in characters; 0 to shorten nothing
}

// maxWidth bounds the matrix of nodes where no terminal does, in characters.
const maxWidth = 100

// columnGap is the space between two columns. Docker's formatter has the same.
const columnGap = 3

// document collects text line by line.
type document struct{ out bytes.Buffer }

func (d *document) line(format string, args ...any) {
	fmt.Fprintf(&d.out, format+"\n", args...)
}

// align puts rows into columns, as docker's formatter does. They come closer to each other
// if the terminal is too narrow.
func (s screen) align(rows [][]string) string {
	for gap := columnGap; gap > 1; gap-- {
		if text := alignWith(rows, gap); s.width == 0 || longestLine(text) <= s.width {
			return text
		}
	}
	return alignWith(rows, 1)
}

func alignWith(rows [][]string, gap int) string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 1, gap, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(table, strings.Join(row, "\t")) // in memory
	}
	_ = table.Flush()
	return text.String()
}

// writeLines writes the lines of a table, each with the color that paint gives it, and an
// empty line after them.
func (s screen) writeLines(out *bytes.Buffer, table string, paint func(i int, line string) string) {
	for i, line := range strings.Split(strings.TrimRight(table, "\n"), "\n") {
		fmt.Fprintln(out, paint(i, s.cut(strings.TrimRight(line, " "))))
	}
	fmt.Fprintln(out)
}

// cut shortens a line to the width of the terminal.
func (s screen) cut(line string) string {
	if s.width == 0 || utf8.RuneCountInString(line) <= s.width {
		return line
	}
	return string([]rune(line)[:s.width-1]) + "…"
}

// wrap writes a text in lines that fit the terminal, each after the first with an indent.
func (s screen) wrap(out *bytes.Buffer, text string, indent int) {
	width := 0
	for i, word := range strings.Split(text, " ") {
		length := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case s.width > 0 && width+1+length > s.width:
			out.WriteString("\n" + strings.Repeat(" ", indent))
			width = indent
		default:
			out.WriteString(" ")
			width++
		}
		out.WriteString(word)
		width += length
	}
	out.WriteString("\n")
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

// blankLine ends a part of the text, unless a blank line does.
func blankLine(out *bytes.Buffer) {
	if out.Len() > 0 && !bytes.HasSuffix(out.Bytes(), []byte("\n\n")) {
		out.WriteString("\n")
	}
}

// longestLine is the length of the longest line, in characters.
func longestLine(text string) int {
	longest := 0
	for line := range strings.Lines(text) {
		longest = max(longest, utf8.RuneCountInString(strings.TrimRight(line, " \n")))
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
