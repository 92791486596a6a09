package render

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

// Bounds of a Markdown report. An issue on GitHub takes 65,536 characters.
const (
	maxMarkdownRows     = 150 // of addresses
	maxMarkdownEvidence = 20  // lines of one finding
)

// writeMarkdown writes a report to paste into an issue. It shows no credentials,
// and of answers only the status: a body may be confidential.
func writeMarkdown(w io.Writer, rep *report.Report) error {
	m := &markdown{rep: rep}
	m.title()
	m.engine()
	m.diagram()
	m.probes()
	m.checks()
	m.accesses()
	m.nodes()
	m.modes()
	m.findings()
	m.footer()
	_, err := w.Write(m.Out.Bytes())
	return err
}

// markdown writes a Report as a document.
type markdown struct {
	layout.Document
	rep *report.Report
}

func (m *markdown) heading(format string, args ...any) {
	m.Line("\n### "+format+"\n", args...)
}

// tableHeader begins a table, whose rows follow.
func (m *markdown) tableHeader(columns ...string) {
	m.row(columns...)
	m.Line("|%s", strings.Repeat("---|", len(columns)))
}

// row writes a row of a table. The cells are Markdown, in which a pipe ends a cell
// even within code.
func (m *markdown) row(cells ...string) {
	for i, c := range cells {
		cells[i] = " " + strings.ReplaceAll(c, "|", `\|`) + " "
	}
	m.Line("|%s|", strings.Join(cells, "|"))
}

// title writes the command, its verdict, and the addresses to use.
func (m *markdown) title() {
	m.Line("## docker nestprobe %s: %s", prose(m.rep.Command), verdict(m.rep))
	if m.rep.Error != "" {
		m.Line("\n%s", prose(m.rep.Error))
	}
	if len(m.rep.Best) > 0 {
		m.Line("")
	}
	for _, b := range m.rep.Best {
		m.Line("- from %s%s use %s (%s)", prose(b.Vantage), m.toServer(b.Server), code(b.URL), prose(string(b.Kind)))
	}
}

// toServer names a server if there are several.
func (m *markdown) toServer(server int) string {
	if len(m.rep.Servers) <= 1 {
		return ""
	}
	return fmt.Sprintf(" to server %d", server+1)
}

// verdict is the result of a command in a few words.
func verdict(rep *report.Report) string {
	judged := len(rep.Probes) > 0 || len(rep.Checks) > 0 || len(rep.Findings) > 0
	switch {
	case rep.Command == "diagnose" && rep.OK:
		return "nothing is wrong"
	case rep.Command == "diagnose" && judged:
		return "something is wrong"
	case rep.OK && len(rep.Servers) > 1:
		return "every server is reached"
	case rep.OK:
		return "the server is reached"
	case len(rep.Probes) == 0:
		return noAddressTried
	case len(rep.Servers) > 1:
		return "not every server is reached"
	default:
		return "no address reaches the server"
	}
}

// engine writes what the endpoint and its engine are.
func (m *markdown) engine() {
	endpoint, engine := m.rep.Endpoint, m.rep.Endpoint.Engine
	if endpoint.Transport == "" {
		return
	}
	m.heading("Engine")
	m.tableHeader("", "")
	m.row("context", code(endpoint.Context))
	m.row("endpoint", prose(endpoint.Transport)+choose(endpoint.TLS, " with TLS", ""))
	if engine.Product == "" && engine.Version == "" {
		return
	}
	m.row("engine", prose(engine.Product+" "+engine.Version))
	m.row("API version", prose(engine.APIVersion))
	m.row("platform", prose(engine.OS+"/"+engine.Arch))
	m.row("rootless", choose(engine.Rootless, "yes", "no"))
}

func choose(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}

func (m *markdown) diagram() {
	if len(m.rep.Probes) == 0 && len(m.rep.Modes) == 0 {
		return
	}
	m.heading("Diagram")
	m.Line("```mermaid")
	_ = writeMermaid(&m.Out, m.rep) // to memory
	m.Line("```")
}

// probes writes a table of addresses for each vantage and server.
func (m *markdown) probes() {
	vantages, byPair, written := vantagesOf(m.rep), probesByPair(m.rep), 0
	for _, vantage := range vantages {
		for server := range max(1, len(m.rep.Servers)) {
			probes := byPair[pair{vantage, server}]
			if shown := min(len(probes), maxMarkdownRows-written); shown > 0 {
				m.addresses(vantage, server, probes[:shown])
				written += shown
			}
		}
	}
	if omitted := len(m.rep.Probes) - written; omitted > 0 {
		m.Line("\n%d more addresses are left out here; the format `json` has them.", omitted)
	}
}

func (m *markdown) addresses(vantage string, server int, probes []*report.Probe) {
	m.heading("From %s%s", prose(placeOf(m.rep, vantage)), m.toServer(server))
	m.tableHeader(columnTitles(probeHeader, "Kind", "Address", "Result", "Time", "What", "Cause")...)
	for _, p := range probes {
		r := &probeRow{probe: *p}
		result := prose(r.Result())
		if p.OK {
			result = "**" + result + "**"
		}
		m.row(prose(r.Kind()), code(r.Address()), result, r.Time(), prose(r.What()), prose(r.Cause()))
	}
}

func (m *markdown) checks() {
	if len(m.rep.Checks) == 0 {
		return
	}
	m.heading("Checks")
	contexts := m.rep.Checks[0].Context != ""
	fields := []string{"Category", "Name", "Result", "Detail"}
	if contexts {
		fields = append([]string{"Context"}, fields...)
	}
	m.tableHeader(columnTitles(checkHeader, fields...)...)
	for _, c := range m.rep.Checks {
		result := prose(string(c.Result))
		if badness(c.Result) >= 0 {
			result = "**" + result + "**"
		}
		cells := []string{prose(c.Category), prose(c.Name), result, prose(c.Detail)}
		if contexts {
			cells = append([]string{code(c.Context)}, cells...)
		}
		m.row(cells...)
	}
}

func (m *markdown) accesses() {
	if len(m.rep.Accesses) == 0 {
		return
	}
	m.heading("Access to the Docker API")
	for _, a := range m.rep.Accesses {
		if a.OK {
			m.Line("- %s works", prose(a.Method))
			continue
		}
		m.Line("- %s **does not work**: %s", prose(a.Method), prose(a.Detail))
	}
}

func (m *markdown) nodes() {
	if len(m.rep.Nodes) == 0 {
		return
	}
	m.heading("Nodes")
	for _, n := range m.rep.Nodes {
		m.Line("- %s at %s: %s%s", code(n.Name), code(n.Address), prose(n.State), choose(n.Manager, ", a manager", ""))
	}
}

// modes writes a row for each network mode, and a column for each vantage.
func (m *markdown) modes() {
	if len(m.rep.Modes) == 0 {
		return
	}
	var vantages []string
	for _, mode := range m.rep.Modes {
		for _, r := range mode.From {
			vantages = addOnce(vantages, r.Vantage)
		}
	}
	m.heading("Network modes")
	columns := []string{"mode", "result"}
	for _, v := range vantages {
		columns = append(columns, "from "+prose(v))
	}
	m.tableHeader(append(columns, "why")...)
	for _, mode := range m.rep.Modes {
		cells := []string{code(mode.Name), prose(string(mode.Result))}
		for _, v := range vantages {
			cells = append(cells, reachCell(mode, v))
		}
		m.row(append(cells, prose(cmp.Or(string(mode.Cause), mode.Detail)))...)
	}
}

// reachCell is the address that reaches a mode's server from a vantage, or why
// none does.
func reachCell(mode report.Mode, vantage string) string {
	i := slices.IndexFunc(mode.From, func(r report.Reach) bool { return r.Vantage == vantage })
	switch {
	case i < 0:
		return ""
	case mode.From[i].OK:
		return cmp.Or(code(mode.From[i].URL), "works")
	case mode.From[i].Cause != "":
		return prose(string(mode.From[i].Cause))
	default:
		return "not reached"
	}
}

// findings writes errors and warnings in full, and a line for each finding that is
// only for information.
func (m *markdown) findings() {
	if len(m.rep.Findings) == 0 {
		return
	}
	m.heading("Findings")
	for _, f := range m.rep.Findings {
		m.finding(f)
	}
}

func (m *markdown) finding(f report.Finding) {
	cause := ""
	if f.Cause != "" {
		cause = code(string(f.Cause)) + ": "
	}
	m.Line("- **%s** %s%s", prose(string(f.Severity)), cause, prose(f.Title))
	if f.Severity == report.SeverityInfo {
		return
	}
	shown := f.Evidence[:min(len(f.Evidence), maxMarkdownEvidence)]
	for _, e := range shown {
		m.Line("  - %s", code(e))
	}
	if n := len(f.Evidence) - len(shown); n > 0 {
		m.Line("  - and %d more", n)
	}
	if f.Hint != "" {
		m.Line("\n  What to do: %s", prose(f.Hint))
	}
	if len(f.Commands) > 0 {
		m.fence(f.Commands)
	}
}

// fence writes the commands of a list item as they are, in a code block that none of
// them can end.
func (m *markdown) fence(commands []string) {
	text := hidePasswords(strings.Join(commands, "\n"))
	ticks := strings.Repeat("`", max(3, longestTicks(text)+1))
	m.Line("\n  %sconsole", ticks)
	for l := range strings.Lines(text) {
		m.Line("  %s", strings.TrimRight(l, "\n"))
	}
	m.Line("  %s\n", ticks)
}

func (m *markdown) footer() {
	m.Line("\n<details><summary>Timings and version</summary>\n")
	m.tableHeader("step", "ms")
	t := m.rep.Timings
	for _, step := range []struct {
		name string
		ms   float64
	}{{"image", t.ImageMS}, {"start", t.StartMS}, {"probe", t.ProbeMS}, {"clean-up", t.CleanupMS}, {"total", t.TotalMS}} {
		m.row(step.name, fmt.Sprintf("%.1f", step.ms))
	}
	m.Line("\nWritten by docker nestprobe %s, report schema version %d.", prose(m.rep.Command), m.rep.SchemaVersion)
	m.Line("\n</details>")
}

// credentials matches the password in a URL.
var credentials = regexp.MustCompile(`(://[^\s/:@]*:)[^\s/@]+@`)

// hidePasswords removes the passwords of URLs. Endpoints and proxies are quoted
// without theirs, but an error's text may come from another program.
func hidePasswords(s string) string { return credentials.ReplaceAllString(s, "$1…@") }

// code is a code span, in which no text is Markdown, HTML, a mention, a reference or
// a link.
func code(s string) string {
	s = strings.TrimSpace(hidePasswords(s))
	if s == "" {
		return ""
	}
	ticks := strings.Repeat("`", longestTicks(s)+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return ticks + s + ticks
}

// longestTicks is the length of the longest run of backticks.
func longestTicks(s string) int {
	longest := 0
	for run := range strings.FieldsFuncSeq(s, func(r rune) bool { return r != '`' }) {
		longest = max(longest, len(run))
	}
	return longest
}

// plainProse matches sentences without any character that Markdown interprets.
var plainProse = regexp.MustCompile(`^[\pL\pN ,.;:'"()/=%…-]*$`)

// linked matches plain text that GitHub turns into a link or an image: addresses of
// pages, issues, commits, and :names: of emoji.
var linked = regexp.MustCompile(`(?i)://|www\.|\bgh-\d|\b[0-9a-f]{7,40}\b|:[\w-]+:`)

// prose writes a sentence as it is if it is plain text in Markdown, and as a code
// span otherwise.
func prose(s string) string {
	if plainProse.MatchString(s) && !linked.MatchString(s) {
		return strings.TrimSpace(s)
	}
	return code(s)
}
