package render

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/morikuni/aec"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// modeColumns are the kinds of addresses as columns of the matrix, in the order in
// which people try them. Those of which there is no row are left out.
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

// writeModes writes the matrix mode × vantage × kind of address, and why what is
// not reached is not.
func writeModes(out *bytes.Buffer, rep *report.Report, color bool) error {
	var table bytes.Buffer
	kinds := kindsOf(rep.Probes)
	lines := []string{strings.Join(modeHeader(kinds), "\t")}
	painted := []report.Reach{{OK: true}}
	for _, mode := range rep.Modes {
		for _, reach := range reachesOf(mode) {
			lines = append(lines, strings.Join(modeRow(rep, mode, reach, kinds), "\t"))
			painted = append(painted, reach)
		}
	}
	w := tabwriter.NewWriter(&table, 0, 1, columnGap, ' ', 0)
	if _, err := io.WriteString(w, strings.Join(lines, "\n")+"\n"); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i, line := range strings.Split(strings.TrimRight(table.String(), "\n"), "\n") {
		line = cut(strings.TrimRight(line, " "))
		if color && !painted[i].OK {
			line = aec.Faint.Apply(line)
		}
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out)
	writeReasons(out, rep.Modes)
	return nil
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

// kindsOf are the kinds that there are probes of.
func kindsOf(probes []report.Probe) []report.Kind {
	var kinds []report.Kind
	for _, p := range probes {
		if !slices.Contains(kinds, p.Kind) {
			kinds = append(kinds, p.Kind)
		}
	}
	return kinds
}

// reachesOf are the rows of a mode: one even if its server was never started.
func reachesOf(mode report.Mode) []report.Reach {
	if len(mode.From) == 0 {
		return []report.Reach{{Vantage: "-"}}
	}
	return mode.From
}

// maxFrom leaves room for all kinds of addresses beside the name of a container
// that is asked from.
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

// modeCell says what became of the addresses of one kind together.
func modeCell(probes []report.Probe, server int, vantage string, kind report.Kind) string {
	tried, ok := 0, 0
	for _, p := range probes {
		if p.Server == server && p.Vantage == vantage && p.Kind == kind {
			tried++
			if p.OK {
				ok++
			}
		}
	}
	switch {
	case tried == 0:
		return "-"
	case ok == tried:
		return "ok"
	case ok > 0:
		return fmt.Sprintf("%d of %d", ok, tried)
	default:
		return "no"
	}
}

// writeReasons says why a server is not reached, mode by mode.
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

// writeEvidence writes what was measured where that does not tell the cause.
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

func reason(mode report.Mode, reach report.Reach) string {
	where := mode.Name
	if len(mode.From) > 0 {
		where += " from " + reach.Vantage
	} else {
		reach.Cause = mode.Cause
	}
	switch {
	case reach.Cause == "" && len(mode.From) == 0:
		return where + ": " + mode.Detail
	case reach.Cause == "":
		return where + ": not reached, and what was measured does not tell why"
	}
	title := mode.Detail
	if i := slices.IndexFunc(mode.Findings, func(f report.Finding) bool { return f.Cause == reach.Cause }); i >= 0 && len(mode.From) > 0 {
		title = mode.Findings[i].Title
	}
	return fmt.Sprintf("%s: %s: %s", where, reach.Cause, title)
}
