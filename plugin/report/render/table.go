package render

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/morikuni/aec"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// columns is the template of the plain table.
const columns = "table {{.Kind}}\t{{.Address}}\t{{.Result}}\t{{.Time}}\t{{.What}}"

// writeHuman writes the checks, what reaches the servers in the form that fits the
// command, the findings, and at the end the status and body from the best address.
func writeHuman(w io.Writer, rep *report.Report, color bool) error {
	var out bytes.Buffer
	writeChecks(&out, rep.Checks, color)
	switch {
	case len(rep.Modes) > 0:
		writeModes(&out, rep, color)
	case len(rep.Nodes) > 0:
		writeNodes(&out, rep)
	default:
		if err := writeTables(&out, rep, color); err != nil {
			return err
		}
	}
	writeAccesses(&out, rep.Accesses)
	if len(rep.Modes) == 0 { // writeModes writes the findings of each mode
		writeFindings(&out, rep.Findings)
	}
	if rep.Command == "diagnose" {
		writeAddresses(&out, rep)
	} else if best := bestProbe(rep); best != nil {
		writeAnswer(&out, best)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// writeTables writes a table of addresses for each vantage and server.
func writeTables(out *bytes.Buffer, rep *report.Report, color bool) error {
	vantages := vantagesOf(rep)
	for _, vantage := range vantages {
		for server := range max(1, len(rep.Servers)) {
			probes := probesOf(rep, vantage, server)
			if len(probes) == 0 {
				continue
			}
			writeHeading(out, rep, vantage, server, len(vantages))
			if err := writeTable(out, probes, bestProbe(rep), color); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeAccesses writes for each access to the Docker API whether it works.
func writeAccesses(out *bytes.Buffer, accesses []report.Access) {
	for _, access := range accesses {
		state := "works"
		if !access.OK {
			state = "does not work: " + access.Detail
		}
		fmt.Fprintf(out, "access %s %s\n", access.Method, state)
	}
	if len(accesses) > 0 {
		fmt.Fprintln(out)
	}
}

// writeHeading names the vantage and the server of a table if there are several. It always
// names the vantage if that is the container of the command: people may take it for the
// host.
func writeHeading(out *bytes.Buffer, rep *report.Report, vantage string, server, vantages int) {
	servers := len(rep.Servers)
	named := vantages > 1 || isOwnContainer(rep, vantage)
	switch {
	case named && servers > 1:
		fmt.Fprintf(out, "From %s, server %d:\n", placeOf(rep, vantage), server+1)
	case named:
		fmt.Fprintf(out, "From %s:\n", placeOf(rep, vantage))
	case servers > 1:
		fmt.Fprintf(out, "Server %d:\n", server+1)
	}
}

// vantagesOf lists the vantages of a Report, that of the best address first.
func vantagesOf(rep *report.Report) []string {
	var vantages []string
	if len(rep.Best) > 0 {
		vantages = append(vantages, rep.Best[0].Vantage)
	}
	for _, p := range rep.Probes {
		vantages = addOnce(vantages, p.Vantage)
	}
	return vantages
}

func selectProbes(rep *report.Report, wanted func(*report.Probe) bool) []*report.Probe {
	var probes []*report.Probe
	for i := range rep.Probes {
		if wanted(&rep.Probes[i]) {
			probes = append(probes, &rep.Probes[i])
		}
	}
	return probes
}

func probesFrom(rep *report.Report, vantage string) []*report.Probe {
	return selectProbes(rep, func(p *report.Probe) bool { return p.Vantage == vantage })
}

func probesOf(rep *report.Report, vantage string, server int) []*report.Probe {
	return selectProbes(rep, func(p *report.Probe) bool { return p.Vantage == vantage && p.Server == server })
}

func writeTable(out *bytes.Buffer, probes []*report.Probe, best *report.Probe, color bool) error {
	var table bytes.Buffer
	if err := writeProbeRows(&table, columns, shortenAddresses(probes)); err != nil {
		return err
	}
	writeLines(out, table.String(), func(i int, line string) string {
		if color && i > 0 {
			return paintProbe(line, probes[i-1], best)
		}
		return line
	})
	return nil
}

// narrowColumn is the width of the columns RESULT and TIME, which docker's
// formatter gives to short columns.
const narrowColumn = 10

// shortenAddresses makes room for the last column, which says what happened.
func shortenAddresses(probes []*report.Probe) []report.Probe {
	kind, what := 0, 0
	for _, p := range probes {
		kind = max(kind, len(p.Kind))
		what = max(what, utf8.RuneCountInString((&probeRow{probe: *p}).What()))
	}
	room := max(narrowColumn, maxWidth-kind-columnGap-columnGap-2*narrowColumn-what)
	shortened := make([]report.Probe, len(probes))
	for i, p := range probes {
		shortened[i] = *p
		shortened[i].Address = shorten(p.Address, room)
	}
	return shortened
}

// paintProbe marks the row of the best address and dims those that do not work.
func paintProbe(line string, probe, best *report.Probe) string {
	switch {
	case probe == best:
		return aec.GreenF.Apply(line)
	case !probe.OK:
		return aec.Faint.Apply(line)
	default:
		return line
	}
}

// writeFindings writes errors and warnings in full, then a line for each finding
// that is only for information.
func writeFindings(out *bytes.Buffer, findings []report.Finding) {
	var infos bytes.Buffer
	for _, f := range findings {
		if f.Severity == report.SeverityInfo {
			fmt.Fprintln(&infos, cut(fmt.Sprintf("%s: %s", f.Severity, causeAndTitle(f))))
			continue
		}
		writeFinding(out, f)
	}
	if infos.Len() > 0 {
		fmt.Fprintf(out, "%s\n", &infos)
	}
}

func writeFinding(out *bytes.Buffer, f report.Finding) {
	fmt.Fprintf(out, "%s: %s\n", f.Severity, causeAndTitle(f))
	for _, line := range f.Evidence {
		fmt.Fprintf(out, "  %s\n", line)
	}
	if f.Hint != "" {
		fmt.Fprintf(out, "  => %s\n", f.Hint)
	}
	for _, command := range f.Commands {
		fmt.Fprintf(out, "     %s\n", command)
	}
	fmt.Fprintln(out)
}

// writeAddresses writes the address to use from each vantage.
func writeAddresses(out *bytes.Buffer, rep *report.Report) {
	for _, best := range rep.Best {
		fmt.Fprintf(out, "from %s use %s\n", placeOf(rep, best.Vantage), strings.TrimPrefix(best.URL, "tcp://"))
	}
}

func writeAnswer(out *bytes.Buffer, best *report.Probe) {
	if best.Status != 0 {
		fmt.Fprintln(out, best.Status)
	}
	if best.Body != "" {
		fmt.Fprintln(out, strings.TrimRight(best.Body, "\n"))
	}
}

// bestProbe is the probe of the first best address, nil if there is none.
func bestProbe(rep *report.Report) *report.Probe {
	if len(rep.Best) == 0 {
		return nil
	}
	return probeBehind(rep, rep.Best[0])
}

// probeBehind is the probe of a best address, nil if there is none.
func probeBehind(rep *report.Report, best report.Best) *report.Probe {
	for _, p := range probesOf(rep, best.Vantage, best.Server) {
		if p.OK && p.Kind == best.Kind && strings.HasPrefix(p.URL, best.URL) {
			return p
		}
	}
	return nil
}
