package render

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

// Bounds of a diagram that people can still read. Mermaid itself refuses more than
// 500 edges or 50,000 characters.
const (
	maxDrawn      = 40 // addresses; if there are more, one edge stands for a vantage and a server
	maxPairs      = 40 // of a vantage and a server
	maxDrawnLabel = 40 // characters of one line of a label
)

// writeMermaid writes the vantages, the addresses that were probed, and the servers
// on their networks as a Mermaid flowchart. It is a valid one for every Report.
func writeMermaid(w io.Writer, rep *report.Report) error {
	d := &diagram{rep: rep, vantages: vantagesOf(rep)}
	d.Line("flowchart LR")
	switch {
	case len(rep.Probes) == 0 && len(rep.Modes) == 0:
		d.note(noAddressTried)
	case len(rep.Probes) > maxDrawn || len(rep.Modes) > 0:
		d.pairs()
	default:
		d.addresses()
	}
	d.styles()
	_, err := w.Write(d.Out.Bytes())
	return err
}

type diagram struct {
	layout.Document
	rep       *report.Report
	vantages  []string
	edges     int
	good, bad []string // numbers of the edges that get a style
}

func (d *diagram) note(lines ...string) { d.Line("  note[%s]:::note", label(lines...)) }

// addresses draws every address, an edge to it from its vantage, and an edge from it
// to the server if the server was reached.
func (d *diagram) addresses() {
	servers := make([]int, len(d.rep.Servers))
	for i := range servers {
		servers[i] = i
	}
	d.places(d.vantages, servers)
	for i, p := range d.rep.Probes {
		class := "good"
		if !p.OK {
			class = "bad"
		}
		d.Line("  a%d(%s):::%s", i+1, label(p.Address, string(p.Kind)), class)
	}
	for i, p := range d.rep.Probes {
		d.path(fmt.Sprintf("v%d", slices.Index(d.vantages, p.Vantage)+1), fmt.Sprintf("a%d", i+1), p)
	}
}

// path draws the edges of one address. A path that fails ends where it fails: at the
// address, or at the server if the server gave an answer that was not expected.
func (d *diagram) path(vantage, address string, p report.Probe) {
	server := fmt.Sprintf("s%d", p.Server+1)
	answered := p.Status != 0 && p.Identity != netprobe.IdentityMismatch && p.Server < len(d.rep.Servers)
	switch {
	case p.OK:
		d.edge(vantage, address, true, "")
		if p.Server < len(d.rep.Servers) {
			d.edge(address, server, true, (&probeRow{probe: p}).Result())
		}
	case answered:
		d.edge(vantage, address, true, "")
		d.edge(address, server, false, failureWords(p))
	default:
		d.edge(vantage, address, false, failureWords(p))
	}
}

// pair is a vantage and a server.
type pair struct {
	vantage string
	server  int
}

// pairs draws an edge from each vantage to each server. It is used where there are
// too many addresses to read.
func (d *diagram) pairs() {
	all := pairsOf(d.rep)
	shown := all[:min(len(all), maxPairs)]
	var vantages []string
	var servers []int
	for _, p := range shown {
		vantages = addOnce(vantages, p.vantage)
		servers = addOnce(servers, p.server)
	}
	d.places(vantages, servers)
	d.modesWithoutServer()
	for _, p := range shown {
		ok, text := d.outcome(p)
		d.edge(fmt.Sprintf("v%d", slices.Index(d.vantages, p.vantage)+1), fmt.Sprintf("s%d", p.server+1), ok, text)
	}
	omitted := []string{fmt.Sprintf("%d addresses are not drawn one by one", len(d.rep.Probes))}
	if n := len(all) - len(shown); n > 0 {
		omitted = append(omitted, fmt.Sprintf("%d vantage-server pairs are left out", n))
	}
	d.note(omitted...)
}

// pairsOf lists the vantages and servers between which addresses were probed.
func pairsOf(rep *report.Report) []pair {
	var pairs []pair
	for _, p := range rep.Probes {
		if p.Server < len(rep.Servers) {
			pairs = addOnce(pairs, pair{p.Vantage, p.Server})
		}
	}
	return pairs
}

// outcome says whether a server is reached from a vantage, and by which kind of
// address or why not.
func (d *diagram) outcome(of pair) (ok bool, text string) {
	probes := probesOf(d.rep, of.vantage, of.server)
	for _, p := range probes {
		if p.OK {
			return true, string(bestKind(d.rep, of, p.Kind))
		}
	}
	for _, m := range d.rep.Modes {
		for _, r := range m.From {
			if m.Server == of.server && r.Vantage == of.vantage && r.Cause != "" {
				return false, string(r.Cause)
			}
		}
	}
	for _, p := range probes {
		if p.Cause != "" {
			return false, string(p.Cause)
		}
	}
	return false, failureWords(*probes[0])
}

func bestKind(rep *report.Report, of pair, first report.Kind) report.Kind {
	for _, b := range rep.Best {
		if b.Vantage == of.vantage && b.Server == of.server {
			return b.Kind
		}
	}
	return first
}

// modesWithoutServer draws the network modes in which no server was started.
func (d *diagram) modesWithoutServer() {
	for i, m := range d.rep.Modes {
		if m.Server < 0 && i < maxPairs {
			d.Line("  m%d[%s]:::bad", i+1, label(m.Name, cmp.Or(string(m.Cause), m.Detail)))
		}
	}
}

// places draws the vantages, and the servers in their networks.
func (d *diagram) places(vantages []string, servers []int) {
	for _, v := range vantages {
		d.Line("  v%d([%s]):::vantage", slices.Index(d.vantages, v)+1, label("from "+v))
	}
	var drawn []string
	for _, i := range servers {
		drawn = addOnce(drawn, networksOf(d.rep.Servers[i]))
	}
	for i, networks := range drawn {
		d.network(i+1, networks, servers)
	}
}

// network draws the servers that are on the same networks. A Mermaid node can be in
// only one subgraph, so servers on several networks get a subgraph of their own.
func (d *diagram) network(number int, networks string, servers []int) {
	indent := "  "
	if networks != "" {
		indent = "    "
		d.Line("  subgraph n%d[%s]", number, strings.ReplaceAll(label(networks), " ", noBreakSpace))
	}
	for _, i := range servers {
		s := d.rep.Servers[i]
		if networksOf(s) != networks {
			continue
		}
		lines := []string{cmp.Or(s.Name, fmt.Sprintf("server %d", i+1))}
		for _, m := range d.rep.Modes {
			if m.Server == i {
				lines = append(lines, "mode "+m.Name)
			}
		}
		if s.Node != "" {
			lines = append(lines, "node "+s.Node)
		}
		d.Line("%ss%d[[%s]]:::server", indent, i+1, label(lines...))
	}
	if networks != "" {
		d.Line("  end")
	}
}

// noBreakSpace keeps the title of a subgraph in one line. Mermaid leaves no room for
// more.
const noBreakSpace = "#160;"

// networksOf names the networks that a server is on.
func networksOf(s report.Server) string {
	if len(s.Networks) == 0 {
		return ""
	}
	names := make([]string, len(s.Networks))
	for i, n := range s.Networks {
		names[i] = n.Name
		if n.Driver != "" && n.Driver != n.Name {
			names[i] += " (" + n.Driver + ")"
		}
	}
	if len(names) == 1 {
		return "network " + names[0]
	}
	return "networks " + strings.Join(names, ", ")
}

func (d *diagram) edge(from, to string, ok bool, text string) {
	arrow, styled := "-->", &d.good
	if !ok {
		arrow, styled = "-.-x", &d.bad
	}
	if text != "" {
		arrow += "|" + label(text) + "|"
	}
	d.Line("  %s %s %s", from, arrow, to)
	*styled = append(*styled, fmt.Sprint(d.edges))
	d.edges++
}

// styles sets all colors, those of texts included, because the page around the
// diagram may be dark.
func (d *diagram) styles() {
	for _, class := range []string{
		"vantage fill:#ddf4ff,stroke:#0969da,color:#1f2328",
		"server fill:#f6f8fa,stroke:#57606a,color:#1f2328",
		"good fill:#dafbe1,stroke:#1a7f37,color:#1f2328",
		"bad fill:#ffebe9,stroke:#cf222e,color:#1f2328,stroke-dasharray:4",
		"note fill:#fff8c5,stroke:#9a6700,color:#1f2328",
	} {
		name, _, _ := strings.Cut(class, " ")
		if strings.Contains(d.Out.String(), ":::"+name+"\n") {
			d.Line("  classDef %s", class)
		}
	}
	if len(d.good) > 0 {
		d.Line("  linkStyle %s stroke:#1a7f37", strings.Join(d.good, ","))
	}
	if len(d.bad) > 0 {
		d.Line("  linkStyle %s stroke:#cf222e", strings.Join(d.bad, ","))
	}
}

// label is a quoted text of several lines. Quotes disable keywords and brackets, but
// not all characters that Mermaid interprets.
func label(lines ...string) string {
	var shown []string
	for _, l := range lines {
		if l != "" {
			shown = append(shown, entities(unmarked(layout.Shorten(l, maxDrawnLabel))))
		}
	}
	if len(shown) == 0 {
		return `"unnamed"`
	}
	return `"` + strings.Join(shown, "<br/>") + `"`
}

// joiner is a character without width. Markdown does not recognize its marks if a
// joiner is between them.
const joiner = "\u2060"

// marks replaces what Mermaid 11 takes for Markdown within a label, even if it is
// written as character codes: emphasis by look-alikes, links by adding a joiner.
var marks = strings.NewReplacer("`", "ˋ", "*", "∗", "~", "∼", "](", "]"+joiner+"(", "://", ":"+joiner+"//", "@", "@"+joiner,
	"www.", "www"+joiner+".", "WWW.", "WWW"+joiner+".")

// plainStart matches a line that does not begin with a mark of Markdown, such as
// that of a list or a heading.
var plainStart = regexp.MustCompile(`^(?:\pL|\d+(?:[^\d.)]|[.)]\S|$))`)

// unmarked is a line that looks the same and has no mark of Markdown.
func unmarked(line string) string {
	if !plainStart.MatchString(line) {
		line = joiner + line
	}
	return marks.Replace(line)
}

// entities replaces the characters that Mermaid or HTML interprets with their codes.
func entities(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '°', r == '¶': // Mermaid marks decoded codes with them
			fmt.Fprintf(&b, "#%d;", r)
		case strings.ContainsRune(" .,:-[]", r), unicode.IsLetter(r), unicode.IsDigit(r), r > unicode.MaxASCII && unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return keywords.Replace(b.String())
}

// keywords replaces the words that Mermaid looks for even within labels: it removes
// the semicolons of a line that has one of them.
var keywords = strings.NewReplacer("style", "#115;tyle", "classDef", "#99;lassDef")
