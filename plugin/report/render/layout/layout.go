// Package layout fits text to a screen: columns, wrapped lines, shortened cells.
package layout

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// Screen is what a table is written for. Off a terminal nothing is shortened.
type Screen struct {
	Color bool
	Width int // of the terminal, in characters; 0 to shorten nothing
}

// MaxWidth bounds the matrix of nodes where no terminal does, in characters.
const MaxWidth = 100

// ColumnGap is the space between two columns. Docker's formatter has the same.
const ColumnGap = 3

// Document collects text line by line.
type Document struct{ Out bytes.Buffer }

// Line adds a line.
func (d *Document) Line(format string, args ...any) {
	fmt.Fprintf(&d.Out, format+"\n", args...)
}

// Align puts rows into columns, as docker's formatter does. They come closer to each other
// if the terminal is too narrow.
func (s Screen) Align(rows [][]string) string {
	for gap := ColumnGap; gap > 1; gap-- {
		if text := alignWith(rows, gap); s.Width == 0 || LongestLine(text) <= s.Width {
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

// WriteLines writes the lines of a table, each with the color that paint gives it, and an
// empty line after them.
func (s Screen) WriteLines(out *bytes.Buffer, table string, paint func(i int, line string) string) {
	for i, line := range strings.Split(strings.TrimRight(table, "\n"), "\n") {
		fmt.Fprintln(out, paint(i, s.Cut(strings.TrimRight(line, " "))))
	}
	fmt.Fprintln(out)
}

// Cut shortens a line to the width of the terminal.
func (s Screen) Cut(line string) string {
	if s.Width == 0 || utf8.RuneCountInString(line) <= s.Width {
		return line
	}
	return string([]rune(line)[:s.Width-1]) + "…"
}

// Wrap writes a text in lines that fit the terminal, each after the first with an indent.
func (s Screen) Wrap(out *bytes.Buffer, text string, indent int) {
	width := 0
	for i, word := range strings.Split(text, " ") {
		length := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case s.Width > 0 && width+1+length > s.Width:
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

// Shorten leaves out the middle of a text. The beginning of an address says what
// it is, and its end is the port.
func Shorten(text string, room int) string {
	runes := []rune(text)
	if len(runes) <= room {
		return text
	}
	tail := room / 2
	return string(runes[:room-tail-1]) + "…" + string(runes[len(runes)-tail:])
}

// Pad fits text into a column of a width, and adds the gap to the next column.
func Pad(text string, width int) string {
	text = Shorten(text, width)
	return text + strings.Repeat(" ", width+ColumnGap-utf8.RuneCountInString(text))
}

// BlankLine ends a part of the text, unless a blank line does.
func BlankLine(out *bytes.Buffer) {
	if out.Len() > 0 && !bytes.HasSuffix(out.Bytes(), []byte("\n\n")) {
		out.WriteString("\n")
	}
}

// LongestLine is the length of the longest line, in characters.
func LongestLine(text string) int {
	longest := 0
	for line := range strings.Lines(text) {
		longest = max(longest, utf8.RuneCountInString(strings.TrimRight(line, " \n")))
	}
	return longest
}
