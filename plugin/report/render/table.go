package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/morikuni/aec"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// maxWidth is how wide the table gets.
const maxWidth = 100

// columns are those of the plain table.
const columns = "table {{.Kind}}\t{{.Address}}\t{{.Result}}\t{{.Time}}\t{{.What}}"

// writeHuman writes the checks, the tables, one a vantage and server, the findings, and at
// the very end the status and body of the best candidate.
func writeHuman(w io.Writer, rep *report.Report, color bool) error {
	var out bytes.Buffer
	writeChecks(&out, rep.Checks, color)
	write := writeTables
	switch {
	case len(rep.Modes) > 0:
		write = writeModes
	case len(rep.Nodes) > 0:
		write = writeNodes
	}
	if err := write(&out, rep, color); err != nil {
		return err
	}
	writeAccesses(&out, rep.Accesses)
	if len(rep.Modes) == 0 { // else the matrix has them
		writeFindings(&out, rep.Findings)
	}
	if rep.Command == "diagnose" {
		writeAddresses(&out, rep.Best)
	} else if best := bestProbe(rep); best != nil {
		writeAnswer(&out, best)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// writeTables writes the tables of addresses, one a vantage and server.
func writeTables(out *bytes.Buffer, rep *report.Report, color bool) error {
	vantages := vantagesOf(rep)
	for _, vantage := range vantages {
		for server := range max(1, len(rep.Servers)) {
			probes := probesOf(rep, vantage, server)
			if len(probes) == 0 {
				continue
			}
			writeHeading(out, vantage, server, len(vantages), len(rep.Servers))
			if err := writeTable(out, probes, bestProbe(rep), color); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeAccesses says which ways to the Docker API worked for a client.
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

// writeHeading says whose table follows, where there is more than one.
func writeHeading(out *bytes.Buffer, vantage string, server, vantages, servers int) {
	switch {
	case vantages > 1 && servers > 1:
		fmt.Fprintf(out, "From %s, server %d:\n", vantage, server+1)
	case vantages > 1:
		fmt.Fprintf(out, "From %s:\n", vantage)
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
		if !slices.Contains(vantages, p.Vantage) {
			vantages = append(vantages, p.Vantage)
		}
	}
	return vantages
}

func probesOf(rep *report.Report, vantage string, server int) []*report.Probe {
	var probes []*report.Probe
	for i, p := range rep.Probes {
		if p.Vantage == vantage && p.Server == server {
			probes = append(probes, &rep.Probes[i])
		}
	}
	return probes
}

func writeTable(out *bytes.Buffer, probes []*report.Probe, best *report.Probe, color bool) error {
	var table bytes.Buffer
	if err := writeRows(&table, columns, fit(probes)); err != nil {
		return err
	}
	for i, line := range strings.Split(strings.TrimRight(table.String(), "\n"), "\n") {
		line = cut(strings.TrimRight(line, " "))
		if color && i > 0 {
			line = paint(line, probes[i-1], best)
		}
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out)
	return nil
}

// Widths of the columns RESULT and TIME, and of the space between two, as
// docker's formatter sets them.
const (
	narrowColumn = 10
	columnGap    = 3
)

// fit shortens addresses so that what happened can be read to its end.
func fit(probes []*report.Probe) []*report.Probe {
	kind, what := 0, 0
	for _, p := range probes {
		kind = max(kind, len(p.Kind))
		what = max(what, utf8.RuneCountInString((&row{probe: *p}).What()))
	}
	room := max(narrowColumn, maxWidth-kind-columnGap-columnGap-2*narrowColumn-what)
	fitted := make([]*report.Probe, len(probes))
	for i, p := range probes {
		shorter := *p
		shorter.Address = shorten(p.Address, room)
		fitted[i] = &shorter
	}
	return fitted
}

// shorten leaves out the middle of an address: its beginning says what it is, and
// its end is the port.
func shorten(address string, room int) string {
	runes := []rune(address)
	if len(runes) <= room {
		return address
	}
	tail := room / 2
	return string(runes[:room-tail-1]) + "…" + string(runes[len(runes)-tail:])
}

// paint marks the row of the best candidate and dims those that do not work.
func paint(line string, probe, best *report.Probe) string {
	switch {
	case probe == best:
		return aec.GreenF.Apply(line)
	case !probe.OK:
		return aec.Faint.Apply(line)
	default:
		return line
	}
}

// writeFindings writes the errors and warnings whole, and then what is for
// information alone, a line each.
func writeFindings(out *bytes.Buffer, findings []report.Finding) {
	var infos bytes.Buffer
	for _, f := range findings {
		if f.Severity == report.SeverityInfo {
			fmt.Fprintln(&infos, cut(fmt.Sprintf("info: %s: %s", f.Cause, f.Title)))
			continue
		}
		writeFinding(out, f)
	}
	if infos.Len() > 0 {
		fmt.Fprintf(out, "%s\n", &infos)
	}
}

func writeFinding(out *bytes.Buffer, f report.Finding) {
	about := f.Title
	if f.Cause != "" {
		about = string(f.Cause) + ": " + f.Title
	}
	fmt.Fprintf(out, "%s: %s\n", f.Severity, about)
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
func writeAddresses(out *bytes.Buffer, all []report.Best) {
	for _, best := range all {
		fmt.Fprintf(out, "from %s use %s\n", best.Vantage, strings.TrimPrefix(best.URL, "tcp://"))
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

// bestProbe is the probe behind the first of rep.Best, nil if there is none.
func bestProbe(rep *report.Report) *report.Probe {
	if len(rep.Best) == 0 {
		return nil
	}
	return probeBehind(rep, rep.Best[0])
}

// probeBehind is the probe of a best address, nil if there is none.
func probeBehind(rep *report.Report, best report.Best) *report.Probe {
	for i, p := range rep.Probes {
		if p.OK && p.Server == best.Server && p.Vantage == best.Vantage &&
			p.Kind == best.Kind && strings.HasPrefix(p.URL, best.URL) {
			return &rep.Probes[i]
		}
	}
	return nil
}

// writeRows writes one row a probe, by docker's formatter.
func writeRows(w io.Writer, format string, probes []*report.Probe) error {
	ctx := formatter.Context{Output: w, Format: formatter.Format(format)}
	return ctx.Write(newRow(), func(write func(formatter.SubContext) error) error {
		for _, p := range probes {
			if err := write(&row{probe: *p}); err != nil {
				return err
			}
		}
		return nil
	})
}

// row is what a table template sees of a probe.
type row struct {
	formatter.HeaderContext
	probe report.Probe
}

func newRow() *row {
	r := &row{}
	r.Header = formatter.SubHeaderContext{
		"Server":    "SERVER",
		"Vantage":   "VANTAGE",
		"Kind":      "KIND",
		"Address":   "ADDRESS",
		"URL":       "URL",
		"Result":    "RESULT",
		"Time":      "TIME",
		"What":      "WHAT HAPPENED",
		"Failure":   "FAILURE",
		"Cause":     "CAUSE",
		"Attempts":  "ATTEMPTS",
		"WebSocket": "WEBSOCKET",
	}
	return r
}

// MarshalJSON lets {{json .}} print the probe as the Report has it.
func (r *row) MarshalJSON() ([]byte, error) { return json.Marshal(r.probe) }

func (r *row) Server() string    { return strconv.Itoa(r.probe.Server + 1) }
func (r *row) Vantage() string   { return r.probe.Vantage }
func (r *row) Kind() string      { return string(r.probe.Kind) }
func (r *row) Address() string   { return r.probe.Address }
func (r *row) URL() string       { return r.probe.URL }
func (r *row) Failure() string   { return string(r.probe.Failure) }
func (r *row) Cause() string     { return string(r.probe.Cause) }
func (r *row) Attempts() string  { return strconv.Itoa(r.probe.Attempts) }
func (r *row) WebSocket() string { return string(r.probe.WebSocket) }

// Result is the status if the server that was meant has sent one.
func (r *row) Result() string {
	switch p := r.probe; {
	case p.Status != 0 && p.Identity != "mismatch":
		return strconv.Itoa(p.Status)
	case p.OK:
		return "ok"
	default:
		return "failed"
	}
}

// Time is how long the last attempt took.
func (r *row) Time() string {
	d := time.Duration(r.probe.Timings.TotalMS * float64(time.Millisecond))
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	default:
		return d.Round(10 * time.Millisecond).String()
	}
}

// What is what happened, in words.
func (r *row) What() string {
	switch p := r.probe; {
	case !p.OK:
		return words(p)
	case p.WebSocket == "ok":
		return "ok with WebSocket"
	default:
		return "answered"
	}
}

// cut shortens a line to maxWidth characters.
func cut(s string) string {
	if utf8.RuneCountInString(s) <= maxWidth {
		return s
	}
	return string([]rune(s)[:maxWidth-1]) + "…"
}
