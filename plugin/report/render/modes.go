package render

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/morikuni/aec"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

// modeColumn is a kind of address as a column of the matrix.
type modeColumn struct {
	kind  report.Kind
	title string
}

// modeColumns are in the order in which people try the kinds of addresses.
var modeColumns = []modeColumn{
	{report.KindPublishedLocalhost, "LOCALHOST"},
	{report.KindPublishedAny, "0.0.0.0"},
	{report.KindPublishedGateway, "GATEWAY"},
	{report.KindPublishedHostAlias, "ALIAS"},
	{report.KindPublishedEngineHost, "ENGINE"},
	{report.KindContainerIP, "IP"},
	{report.KindContainerName, "NAME"},
}

// writeModes writes the matrix mode × vantage × kind of address, and the reason
// where a server is not reached.
func writeModes(out *bytes.Buffer, rep *report.Report, s layout.Screen) {
	columns := columnsOf(rep.Probes)
	header := append(make([]string, 0, 3+len(columns)), "NETWORK", "FROM", "RESULT")
	for _, column := range columns {
		header = append(header, column.title)
	}
	rows := [][]string{header}
	works := []bool{true} // the header is not dimmed
	for _, mode := range rep.Modes {
		for _, reach := range reachesOf(mode) {
			rows = append(rows, modeRow(s, rep, mode, reach, columns))
			works = append(works, reach.OK)
		}
	}
	s.WriteLines(out, s.Align(rows), func(i int, line string) string {
		if s.Color && !works[i] {
			return aec.Faint.Apply(line)
		}
		return line
	})
	writeReasons(out, rep.Modes)
}

// columnsOf are the columns of the kinds that were probed.
func columnsOf(probes []report.Probe) []modeColumn {
	return slices.DeleteFunc(slices.Clone(modeColumns), func(column modeColumn) bool {
		return !slices.ContainsFunc(probes, func(p report.Probe) bool { return p.Kind == column.kind })
	})
}

// reachesOf are the rows of a mode. A mode whose server was not started has one.
func reachesOf(mode report.Mode) []report.Reach {
	if len(mode.From) == 0 {
		return []report.Reach{{Vantage: "-"}}
	}
	return mode.From
}

// maxFrom bounds the column FROM on a terminal, which may hold the name of a container, so
// that all kinds of addresses fit beside it.
const maxFrom = 18

func modeRow(s layout.Screen, rep *report.Report, mode report.Mode, reach report.Reach, columns []modeColumn) []string {
	result := "no"
	switch {
	case reach.OK:
		result = "works"
	case len(mode.From) == 0:
		result = string(mode.Result)
	}
	from := reach.Vantage
	if isOwnContainer(rep, from) {
		from = "this container"
	}
	if s.Width > 0 {
		from = layout.Shorten(from, maxFrom)
	}
	cells := append(make([]string, 0, 3+len(columns)), mode.Name, from, result)
	for _, column := range columns {
		cells = append(cells, modeCell(rep.Probes, mode.Server, reach.Vantage, column.kind))
	}
	return cells
}

// modeCell says how many of the addresses of one kind work.
func modeCell(probes []report.Probe, server int, vantage string, kind report.Kind) string {
	probed, ok := 0, 0
	for _, p := range probes {
		if p.Server == server && p.Vantage == vantage && p.Kind == kind {
			probed++
			if p.OK {
				ok++
			}
		}
	}
	switch {
	case probed == 0:
		return "-"
	case ok == probed:
		return "ok"
	case ok > 0:
		return fmt.Sprintf("%d of %d", ok, probed)
	default:
		return "no"
	}
}

// writeReasons writes why servers are not reached, mode by mode.
func writeReasons(out *bytes.Buffer, modes []report.Mode) {
	var reasons bytes.Buffer
	for _, mode := range modes {
		if mode.Result == report.ModeWorks {
			continue
		}
		for _, reach := range reachesOf(mode) {
			if !reach.OK {
				fmt.Fprintln(&reasons, reason(mode, reach))
			}
		}
		if mode.Result == report.ModeFailed {
			writeEvidence(&reasons, mode.Findings)
		}
	}
	if reasons.Len() > 0 {
		fmt.Fprintln(out, &reasons)
	}
}

// writeEvidence writes the evidence of findings that have no cause.
func writeEvidence(out *bytes.Buffer, findings []report.Finding) {
	for _, f := range findings {
		if f.Cause != "" {
			continue
		}
		for _, line := range f.Evidence {
			fmt.Fprintf(out, "  %s\n", line)
		}
	}
}

// reason says why a mode's server is not reached from one vantage.
func reason(mode report.Mode, reach report.Reach) string {
	if len(mode.From) == 0 { // the server was not started
		return mode.Name + ": " + causeAndTitle(report.Finding{Cause: mode.Cause, Title: mode.Detail})
	}
	where := mode.Name + " from " + reach.Vantage
	if reach.Cause == "" {
		return where + ": not reached, and the cause is not known"
	}
	finding := report.Finding{Cause: reach.Cause, Title: mode.Detail}
	i := slices.IndexFunc(mode.Findings, func(f report.Finding) bool { return f.Cause == reach.Cause })
	if i >= 0 {
		finding = mode.Findings[i]
	}
	return where + ": " + causeAndTitle(finding)
}
