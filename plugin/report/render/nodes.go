package render

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// ways are the kinds of addresses from node to node, in a word each.
var ways = []struct {
	kind report.Kind
	word string
}{
	{report.KindContainerName, "name"},
	{report.KindContainerIP, "ip"},
	{report.KindPublishedEngineHost, "port"},
}

// Cells where no way has a word.
const (
	noWay    = "none"      // tried, and none works
	notAsked = "not asked" // by this node, or there is no server
)

// writeNodes writes which node reaches which, as a matrix if that fits, else as the
// list of those that lack a way.
func writeNodes(out *bytes.Buffer, rep *report.Report, _ bool) error {
	if len(rep.Probes) == 0 {
		return nil
	}
	if text := matrix(rep); width(text) <= maxWidth {
		out.WriteString(text)
	} else {
		out.WriteString(pairs(rep))
	}
	fmt.Fprintf(out, "\n%s\n", legend(rep))
	for _, n := range rep.Nodes {
		if n.State != "ready" {
			fmt.Fprintf(out, "%s is %s\n", n.Name, n.State)
		}
	}
	fmt.Fprintln(out)
	return nil
}

func legend(rep *report.Report) string {
	port := "a port of the node"
	for _, s := range rep.Servers {
		for _, published := range s.Published {
			port = fmt.Sprintf("port %d of the node", published.HostPort)
		}
	}
	return "name, ip: the container on the overlay network; port: " + port
}

// matrix has a row for each node that asks and a column for each that is asked for.
func matrix(rep *report.Report) string {
	n := len(rep.Nodes)
	rows := make([][]string, n+1)
	rows[0] = make([]string, n+1)
	rows[0][0] = "FROM"
	for i, from := range rep.Nodes {
		rows[0][i+1] = "TO " + from.Name
		rows[i+1] = make([]string, n+1)
		rows[i+1][0] = from.Name
		for j, to := range rep.Nodes {
			rows[i+1][j+1] = cell(rep, from.Name, to.Name)
		}
	}
	return align(rows)
}

// pairs lists the pairs of nodes that lack a way, below how many there are.
func pairs(rep *report.Report) string {
	rows := [][]string{{"FROM", "TO", "REACHED BY"}}
	whole := 0
	for _, from := range rep.Nodes {
		for _, to := range rep.Nodes {
			what := cell(rep, from.Name, to.Name)
			if what == everyWay() {
				whole++
				continue
			}
			rows = append(rows, []string{shorten(from.Name, nameRoom), shorten(to.Name, nameRoom), what})
		}
	}
	all := len(rep.Nodes) * len(rep.Nodes)
	text := fmt.Sprintf("%d nodes: of %d pairs, %d reach each other by %s\n", len(rep.Nodes), all, whole, everyWay())
	if len(rows) == 1 {
		return text
	}
	return text + "\n" + align(rows)
}

// nameRoom is what a name may take in the list of pairs.
const nameRoom = 40

func everyWay() string {
	words := make([]string, len(ways))
	for i, w := range ways {
		words[i] = w.word
	}
	return strings.Join(words, " ")
}

// cell says by which ways one node reaches another.
func cell(rep *report.Report, from, to string) string {
	server := slices.IndexFunc(rep.Servers, func(s report.Server) bool { return s.Node == to })
	probes := probesOf(rep, "node:"+from, server)
	if len(probes) == 0 {
		return notAsked
	}
	var words []string
	for _, w := range ways {
		if slices.ContainsFunc(probes, func(p *report.Probe) bool { return p.OK && p.Kind == w.kind }) {
			words = append(words, w.word)
		}
	}
	if len(words) == 0 {
		return noWay
	}
	return strings.Join(words, " ")
}

// align puts rows into columns, as docker's formatter does.
func align(rows [][]string) string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 1, columnGap, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(table, strings.Join(row, "\t")) // in memory
	}
	_ = table.Flush()
	return text.String()
}

// width is that of the longest line.
func width(text string) int {
	longest := 0
	for line := range strings.Lines(text) {
		longest = max(longest, utf8.RuneCountInString(strings.TrimRight(line, "\n")))
	}
	return longest
}
