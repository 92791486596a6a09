package render

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

// writeTried writes the addresses that were tried in vain, and could have worked.
func (a *answer) writeTried(out *bytes.Buffer, b block) {
	for _, place := range b.places {
		rows := a.triedRows(place)
		if len(rows) == 0 {
			continue
		}
		first := labelled("Tried:")
		if len(b.places) > 1 {
			fmt.Fprintf(out, "From %s:\n", placeName(a.rep, place.Vantage))
			first = labelled("")
		}
		for line := range strings.Lines(a.screen.Align(rows)) {
			fmt.Fprintln(out, first+strings.TrimRight(line, " \n"))
			first = labelled("")
		}
	}
}

// triedRows are what was tried and how it failed. On a terminal, addresses that failed alike
// are one row; else each has its own, with its kind.
func (a *answer) triedRows(place report.Place) [][]string {
	failed := selectProbes(a.rep, func(p *report.Probe) bool {
		return p.Vantage == place.Vantage && !p.OK && !cannotWork(a.rep, p)
	})
	var rows [][]string
	if a.screen.Width == 0 {
		for _, p := range failed {
			rows = append(rows, []string{string(p.Kind), p.Address, cmp.Or(p.Detail, failureWords(*p))})
		}
		return rows
	}
	var order []string
	alike := map[string][]string{}
	longest := 0
	for _, p := range failed {
		words := failureWords(*p)
		order = addOnce(order, words)
		alike[words] = append(alike[words], a.shortAddress(p))
		longest = max(longest, utf8.RuneCountInString(words))
	}
	for _, words := range order {
		for _, line := range fillLines(alike[words], a.screen.Width-labelWidth-layout.ColumnGap-longest) {
			rows = append(rows, []string{line, words})
			words = ""
		}
	}
	return rows
}

// shortAddress leaves out the port of an address if it is the server's own.
func (a *answer) shortAddress(p *report.Probe) string {
	if host, port, err := net.SplitHostPort(p.Address); err == nil && strings.HasSuffix(a.rep.Target.Name, ":"+port) {
		return host
	}
	return p.Address
}

// fillLines puts words into lines of a width, at least one into each.
func fillLines(words []string, width int) []string {
	lines := []string{words[0]}
	for _, word := range words[1:] {
		last := &lines[len(lines)-1]
		if longer := *last + ", " + word; utf8.RuneCountInString(longer) < width {
			*last = longer
			continue
		}
		*last += ","
		lines = append(lines, word)
	}
	return lines
}
