package render

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/morikuni/aec"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// modeColumns are the kinds of addresses as columns of the matrix, in the order in
// which people try them. Kinds that have no probe are left out.
var modeColumns = []struct {
	kind  report.Kind
	title string
}{
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
func writeModes(out *bytes.Buffer, rep *report.Report, color bool) {
	kinds := kindsOf(rep.Probes)
	rows := [][]string{modeHeader(kinds)}
	works := []bool{true} // the header is not dimmed
	for _, mode := range rep.Modes {
		for _, reach := range reachesOf(mode) {
			rows = append(rows, modeRow(rep, mode, reach, kinds))
			works = append(works, reach.OK)
		}
	}
	writeLines(out, align(rows), func(i int, line string) string {
		if color && !works[i] {
			return aec.Faint.Apply(line)
		}
		return line
	})
	writeReasons(out, rep.Modes)
}

func modeHeader(kinds []report.Kind) []string {
	header := []string{"NETWORK", "FROM", "RESULT"}
	for _, column := range modeColumns {
		if slices.Contains(kinds, column.kind) {
			header = append(header, column.title)
		}
	}
	return header
}

func kindsOf(probes []report.Probe) []report.Kind {
	var kinds []report.Kind
	for _, p := range probes {
		kinds = addOnce(kinds, p.Kind)
	}
	return kinds
}

// reachesOf are the rows of a mode. A mode whose server was not started has one.
func reachesOf(mode report.Mode) []report.Reach {
	if len(mode.From) == 0 {
		return []report.Reach{{Vantage: "-"}}
	}
	return mode.From
}

// maxFrom bounds the column FROM, which may hold the name of a container, so that
// all kinds of addresses fit beside it.
const maxFrom = 18

func modeRow(rep *report.Report, mode report.Mode, reach report.Reach, kinds []report.Kind) []string {
	cells := []string{mode.Name, shorten(reach.Vantage, maxFrom), "no"}
	switch {
	case reach.OK:
		cells[2] = "works"
	case len(mode.From) == 0:
		cells[2] = string(mode.Result)
	}
	for _, column := range modeColumns {
		if slices.Contains(kinds, column.kind) {
			cells = append(cells, modeCell(rep.Probes, mode.Server, reach.Vantage, column.kind))
		}
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
	i := slices.IndexFunc(mode.Findings, func(f report.Finding) bool { return f.Cause == reach.Cause })
	if i >= 0 {
		return where + ": " + causeAndTitle(mode.Findings[i])
	}
	return where + ": " + causeAndTitle(report.Finding{Cause: reach.Cause, Title: mode.Detail})
}
