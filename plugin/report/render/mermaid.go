package render

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// What a diagram holds at most, so that it can still be read. Mermaid itself
// refuses more than 500 edges or 50,000 characters.
const (
	maxDrawn      = 40 // addresses; above it, there is an edge for each vantage and server
	maxPairs      = 40 // of a vantage and a server
	maxDrawnLabel = 40 // characters of one line of a label
)

// writeMermaid draws the vantages, the addresses that were tried, and the servers
// on their networks, as a Mermaid flowchart. It is a valid one for every Report.
func writeMermaid(w io.Writer, rep *report.Report) error {
	d := &diagram{rep: rep, vantages: vantagesOf(rep)}
	d.line("flowchart LR")
	switch {
	case len(rep.Probes) == 0 && len(rep.Modes) == 0:
		d.note("no address was tried")
	case len(rep.Probes) > maxDrawn || len(rep.Modes) > 0:
		d.pairs()
	default:
		d.addresses()
	}
	d.styles()
	_, err := w.Write(d.out.Bytes())
	return err
}

// diagram is a flowchart that is being written. Edges have their styles by their
// number.
type diagram struct {
	rep       *report.Report
	vantages  []string
	out       bytes.Buffer
	edges     int
	good, bad []string
}

func (d *diagram) line(format string, args ...any) {
	fmt.Fprintf(&d.out, format+"\n", args...)
}

func (d *diagram) note(lines ...string) { d.line("  note[%s]:::note", label(lines...)) }

// addresses draws every address, with an edge to it from its vantage, and one on
// from it to the server if that was reached.
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
		d.line("  a%d(%s):::%s", i+1, label(p.Address, string(p.Kind)), class)
	}
	for i, p := range d.rep.Probes {
		d.way(fmt.Sprintf("v%d", slices.Index(d.vantages, p.Vantage)+1), fmt.Sprintf("a%d", i+1), p)
	}
}

// way draws the edges of one address. One that fails ends where it fails: at the
// address, or at the server if that has given another answer than it should.
func (d *diagram) way(vantage, address string, p report.Probe) {
	server := fmt.Sprintf("s%d", p.Server+1)
	answered := p.Status != 0 && p.Identity != "mismatch" && p.Server < len(d.rep.Servers)
	switch {
	case p.OK:
		d.edge(vantage, address, true, "")
		if p.Server < len(d.rep.Servers) {
			d.edge(address, server, true, (&row{probe: p}).Result())
		}
	case answered:
		d.edge(vantage, address, true, "")
		d.edge(address, server, false, words(p))
	default:
		d.edge(vantage, address, false, words(p))
	}
}

// pair is a vantage and a server.
type pair struct {
	vantage string
	server  int
}

// pairs draws an edge from each vantage to each server, where addresses would be
// too many to read.
func (d *diagram) pairs() {
	all := pairsOf(d.rep)
	shown := all[:min(len(all), maxPairs)]
	var vantages []string
	var servers []int
	for _, p := range shown {
		if !slices.Contains(vantages, p.vantage) {
			vantages = append(vantages, p.vantage)
		}
		if !slices.Contains(servers, p.server) {
			servers = append(servers, p.server)
		}
	}
	d.places(vantages, servers)
	d.modesWithoutServer()
	for _, p := range shown {
		ok, text := d.outcome(p)
		d.edge(fmt.Sprintf("v%d", slices.Index(d.vantages, p.vantage)+1), fmt.Sprintf("s%d", p.server+1), ok, text)
	}
	left := []string{fmt.Sprintf("%d addresses are not drawn one by one", len(d.rep.Probes))}
	if n := len(all) - len(shown); n > 0 {
		left = append(left, fmt.Sprintf("%d vantages to servers are left out", n))
	}
	d.note(left...)
}

// pairsOf lists the vantages and servers between which addresses were tried.
func pairsOf(rep *report.Report) []pair {
	var pairs []pair
	seen := map[pair]bool{}
	for _, p := range rep.Probes {
		if pair := (pair{p.Vantage, p.Server}); !seen[pair] && p.Server < len(rep.Servers) {
			seen[pair] = true
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

// outcome is whether a server is reached from a vantage, and by which kind of
// address, or why not.
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
	return false, words(*probes[0])
}

func bestKind(rep *report.Report, of pair, first report.Kind) report.Kind {
	for _, b := range rep.Best {
		if b.Vantage == of.vantage && b.Server == of.server {
			return b.Kind
		}
	}
	return first
}

// modesWithoutServer names the network modes in which no server was started.
func (d *diagram) modesWithoutServer() {
	for i, m := range d.rep.Modes {
		if m.Server < 0 && i < maxPairs {
			d.line("  m%d[%s]:::bad", i+1, label(m.Name, cmp.Or(string(m.Cause), m.Detail)))
		}
	}
}

// places draws the vantages, and the servers in their networks.
func (d *diagram) places(vantages []string, servers []int) {
	for _, v := range vantages {
		d.line("  v%d([%s]):::vantage", slices.Index(d.vantages, v)+1, label("from "+v))
	}
	var drawn []string
	for _, i := range servers {
		networks := networksOf(d.rep.Servers[i])
		if slices.Contains(drawn, networks) {
			continue
		}
		drawn = append(drawn, networks)
		d.network(len(drawn), networks, servers)
	}
}

// network draws the servers that are on the same networks. Who is on several is
// drawn once: a Mermaid node is in one subgraph alone.
func (d *diagram) network(number int, networks string, servers []int) {
	indent := "  "
	if networks != "" {
		indent = "    "
		d.line("  subgraph n%d[%s]", number, strings.ReplaceAll(label(networks), " ", unbroken))
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
		d.line("%ss%d[[%s]]:::server", indent, i+1, label(lines...))
	}
	if networks != "" {
		d.line("  end")
	}
}

// unbroken is a space at which no line ends: Mermaid leaves room for one line of a
// subgraph's title.
const unbroken = "#160;"

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

// edge draws one, with what is to be said about it.
func (d *diagram) edge(from, to string, ok bool, text string) {
	arrow, styled := "-->", &d.good
	if !ok {
		arrow, styled = "-.-x", &d.bad
	}
	if text != "" {
		arrow += "|" + label(text) + "|"
	}
	d.line("  %s %s %s", from, arrow, to)
	*styled = append(*styled, fmt.Sprint(d.edges))
	d.edges++
}

// styles gives all colours of their own, texts too: the page around a diagram may
// be dark.
func (d *diagram) styles() {
	for _, class := range []string{
		"vantage fill:#ddf4ff,stroke:#0969da,color:#1f2328",
		"server fill:#f6f8fa,stroke:#57606a,color:#1f2328",
		"good fill:#dafbe1,stroke:#1a7f37,color:#1f2328",
		"bad fill:#ffebe9,stroke:#cf222e,color:#1f2328,stroke-dasharray:4",
		"note fill:#fff8c5,stroke:#9a6700,color:#1f2328",
	} {
		name, _, _ := strings.Cut(class, " ")
		if strings.Contains(d.out.String(), ":::"+name+"\n") {
			d.line("  classDef %s", class)
		}
	}
	if len(d.good) > 0 {
		d.line("  linkStyle %s stroke:#1a7f37", strings.Join(d.good, ","))
	}
	if len(d.bad) > 0 {
		d.line("  linkStyle %s stroke:#cf222e", strings.Join(d.bad, ","))
	}
}

// label is a quoted text of lines. In quotes no keyword and no bracket means
// anything, but some characters still do.
func label(lines ...string) string {
	var shown []string
	for _, l := range lines {
		if l != "" {
			l = shorten(netprobe.Visible(l, maxText), maxDrawnLabel)
			shown = append(shown, entities(unmarked(l)))
		}
	}
	if len(shown) == 0 {
		return `"unnamed"`
	}
	return `"` + strings.Join(shown, "<br/>") + `"`
}

// joiner has no width, and keeps apart what is something in Markdown together.
const joiner = "\u2060"

// marks are what Mermaid 11 takes for Markdown within a label, even if it is
// written in codes: emphasis, which has look-alikes here, and links.
var marks = strings.NewReplacer("`", "ˋ", "*", "∗", "~", "∼", "](", "]"+joiner+"(", "://", ":"+joiner+"//", "@", "@"+joiner,
	"www.", "www"+joiner+".", "WWW.", "WWW"+joiner+".")

// plainStart is how a line begins that is no list, no heading, and whatever else
// Markdown has.
var plainStart = regexp.MustCompile(`^(?:\pL|\d+(?:[^\d.)]|[.)]\S|$))`)

// unmarked is a line that is nothing in Markdown and looks the same.
func unmarked(line string) string {
	if !plainStart.MatchString(line) {
		line = joiner + line
	}
	return marks.Replace(line)
}

// entities writes whatever Mermaid or HTML might obey as its code.
func entities(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '°', r == '¶': // with these Mermaid marks what it has decoded
			fmt.Fprintf(&b, "#%d;", r)
		case strings.ContainsRune(" .,:-[]", r), unicode.IsLetter(r), unicode.IsDigit(r), r > unicode.MaxASCII && unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return keywords.Replace(b.String())
}

// keywords are what Mermaid looks for within labels too: the lines on which it
// finds these words lose a semicolon.
var keywords = strings.NewReplacer("style", "#115;tyle", "classDef", "#99;lassDef")
