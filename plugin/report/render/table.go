package render

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/morikuni/aec"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

// writeHuman writes the answer first: what is wrong, or the addresses to use and their
// proof. Then it writes everything that was tried, and at the end the status and body from
// the best address.
func writeHuman(w io.Writer, rep *report.Report, s layout.Screen) error {
	var out bytes.Buffer
	switch {
	case rep.Target.Name != "":
		writeTarget(&out, rep, s)
	case rep.Command == "diagnose":
		writeVerdict(&out, rep)
		writeFindings(s, &out, rep, rep.Findings)
		writeChecks(&out, rep.Checks, s)
	default:
		writeExperiment(&out, rep, s)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// writeExperiment writes the result of run and in-container.
func writeExperiment(out *bytes.Buffer, rep *report.Report, s layout.Screen) {
	isError := func(f report.Finding) bool { return f.Severity == report.SeverityError }
	matrix := len(rep.Modes) > 0 || len(rep.Nodes) > 0
	if !matrix {
		writeFindings(s, out, rep, slices.DeleteFunc(slices.Clone(rep.Findings), func(f report.Finding) bool { return !isError(f) }))
		writeUse(out, rep, s)
	}
	writeHealth(out, rep.Checks)
	writeAccesses(out, rep.Accesses)
	switch {
	case len(rep.Modes) > 0:
		writeModes(out, rep, s)
	case len(rep.Nodes) > 0:
		writeNodes(out, rep, s)
		writeFindings(s, out, rep, rep.Findings)
	default:
		writeTables(out, rep, s)
		writeFindings(s, out, rep, slices.DeleteFunc(slices.Clone(rep.Findings), isError))
	}
	if best := bestProbe(rep); best != nil {
		writeAnswer(out, best)
	}
}

// writeUse writes the address to use from each vantage, and its proof.
func writeUse(out *bytes.Buffer, rep *report.Report, s layout.Screen) {
	several := len(rep.Servers) > 1
	header := []string{"FROM", "USE", "PROOF"}
	if several {
		header = []string{"FROM", "SERVER", "USE", "PROOF"}
	}
	rows, byPair := [][]string{header}, probesByPair(rep)
	for _, best := range rep.Best {
		p := behind(byPair[pair{best.Vantage, best.Server}], best)
		if p == nil {
			continue
		}
		row := []string{placeName(rep, best.Vantage)}
		if several {
			row = append(row, strconv.Itoa(best.Server+1))
		}
		rows = append(rows, append(row, strings.TrimPrefix(best.URL, "tcp://"), proof(*p)))
	}
	if len(rows) > 1 {
		s.WriteLines(out, s.Align(rows), func(i int, line string) string {
			if s.Color && i > 0 {
				return aec.GreenF.Apply(line)
			}
			return line
		})
	}
}

// proof says why an answer is known to be the server's.
func proof(p report.Probe) string {
	did := "answered"
	switch {
	case p.Phase == netprobe.PhaseRequest:
		did = "accepted"
	case p.Status != 0:
		did = strconv.Itoa(p.Status)
	}
	switch p.Identity {
	case netprobe.IdentityVerified:
		return did + " with the server's token"
	case netprobe.IdentityWitnessed:
		return did + " by the server's process"
	default:
		return did + ", not proven to be the server"
	}
}

// writeHealth writes what the health checks of servers say.
func writeHealth(out *bytes.Buffer, checks []report.Check) {
	for _, c := range checks {
		fmt.Fprintf(out, "health of %s: %s\n", c.Name, c.Detail)
	}
	if len(checks) > 0 {
		fmt.Fprintln(out)
	}
}

// writeTables writes a table of addresses for each vantage and server.
func writeTables(out *bytes.Buffer, rep *report.Report, s layout.Screen) {
	vantages, byPair, best := vantagesOf(rep), probesByPair(rep), bestProbe(rep)
	for _, vantage := range vantages {
		for server := range max(1, len(rep.Servers)) {
			probes := byPair[pair{vantage, server}]
			if len(probes) == 0 {
				continue
			}
			writeHeading(out, rep, vantage, server, len(vantages))
			writeTable(out, rep, probes, best, s)
		}
	}
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

// probesByPair returns the probes of each vantage and server, for what shows all of them.
func probesByPair(rep *report.Report) map[pair][]*report.Probe {
	found := map[pair][]*report.Probe{}
	for i := range rep.Probes {
		p := &rep.Probes[i]
		found[pair{p.Vantage, p.Server}] = append(found[pair{p.Vantage, p.Server}], p)
	}
	return found
}

// writeTable writes the addresses that were tried, and highlights the best one.
func writeTable(out *bytes.Buffer, rep *report.Report, probes []*report.Probe, best *report.Probe, s layout.Screen) {
	rows, first := wideRows(rep, probes), probes
	if s.Width > 0 {
		rows, first = foldedRows(rep, probes)
	}
	s.WriteLines(out, s.Align(rows), func(i int, line string) string {
		if s.Color && i > 0 {
			return paintProbe(line, first[i-1], best)
		}
		return line
	})
}

// wideRows has a row for each address.
func wideRows(rep *report.Report, probes []*report.Probe) [][]string {
	rows := append(make([][]string, 0, 1+len(probes)), []string{"KIND", "ADDRESS", "RESULT", "TIME", "WHAT HAPPENED"})
	for _, p := range probes {
		row := &probeRow{probe: *p}
		result := row.Result()
		if cannotWork(rep, p) {
			result = notExpected
		}
		rows = append(rows, []string{row.Kind(), row.Address(), result, row.Time(), row.What()})
	}
	return rows
}

const notExpected = "not expected"

// foldedRows has a row for the addresses of one kind that failed alike, which fits a
// terminal of 80 columns. It also returns the first probe of each row.
func foldedRows(rep *report.Report, probes []*report.Probe) (rows [][]string, first []*report.Probe) {
	folded := fold(rep, probes)
	rows = append(make([][]string, 0, 1+len(folded)), []string{"KIND", "ADDRESS", "RESULT"})
	for _, f := range folded {
		row := &probeRow{probe: *f[0]}
		result := row.What()
		switch {
		case cannotWork(rep, f[0]):
			result = notExpected
		case f[0].OK && f[0].Status != 0:
			result = row.Result() + " " + result
		}
		rows, first = append(rows, []string{row.Kind(), f.addresses(), result}), append(first, f[0])
	}
	return rows, first
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
// that is only for information. On a terminal, evidence does not repeat the tables of the
// Report.
func writeFindings(s layout.Screen, out *bytes.Buffer, rep *report.Report, findings []report.Finding) {
	var infos bytes.Buffer
	for _, f := range findings {
		if f.Severity == report.SeverityInfo {
			s.Wrap(&infos, fmt.Sprintf("%s: %s", f.Severity, causeAndTitle(f)), 2)
			continue
		}
		if s.Width > 0 {
			f.Evidence = withoutRows(s, rep, f.Evidence)
		}
		writeFinding(s, out, f)
	}
	if infos.Len() > 0 {
		fmt.Fprintf(out, "%s\n", &infos)
	}
}

func writeFinding(s layout.Screen, out *bytes.Buffer, f report.Finding) {
	s.Wrap(out, fmt.Sprintf("%s: %s", f.Severity, causeAndTitle(f)), 2)
	for _, line := range f.Evidence {
		s.Wrap(out, "  "+line, 4)
	}
	if f.Hint != "" {
		s.Wrap(out, "  => "+f.Hint, 5)
	}
	for _, command := range f.Commands {
		fmt.Fprintf(out, "     %s\n", command)
	}
	if page := pageOf(s, f); page != "" {
		fmt.Fprintf(out, "  %s\n", page)
	}
	fmt.Fprintln(out)
}

// pageOf is the URL of the page on a finding. Most terminals have no room for it: the title
// and the hint say what matters there.
func pageOf(s layout.Screen, f report.Finding) string {
	if s.Width > 0 {
		return ""
	}
	return f.Cause.Page()
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
	return behind(probesOf(rep, best.Vantage, best.Server), best)
}

// behind is the probe of a best address among those of its vantage and server.
func behind(probes []*report.Probe, best report.Best) *report.Probe {
	for _, p := range probes {
		if p.OK && p.Kind == best.Kind && strings.HasPrefix(p.URL, best.URL) {
			return p
		}
	}
	return nil
}
