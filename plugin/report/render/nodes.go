package render

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

// nodeKinds are the kinds of addresses between nodes, in a word each.
var nodeKinds = []struct {
	kind report.Kind
	word string
}{
	{report.KindContainerName, "name"},
	{report.KindContainerIP, "ip"},
	{report.KindPublishedEngineHost, "port"},
}

// Cells of pairs of nodes that no kind of address connects.
const (
	noneWorks = "none"
	notProbed = "not probed" // the first node did not probe, or the second has no server
)

// writeNodes writes which node reaches which other: as a matrix if that fits, else
// as the list of the pairs that some kind of address does not connect.
func writeNodes(out *bytes.Buffer, rep *report.Report, s layout.Screen) {
	if len(rep.Probes) == 0 {
		return
	}
	links := linksOf(rep)
	if text := links.matrix(s); layout.LongestLine(text) <= cmp.Or(s.Width, layout.MaxWidth) {
		out.WriteString(text)
	} else {
		out.WriteString(links.brokenPairs(s))
	}
	fmt.Fprintf(out, "\n%s\n", legend(rep))
	for _, n := range rep.Nodes {
		if n.State != "ready" {
			fmt.Fprintf(out, "%s is %s\n", n.Name, n.State)
		}
	}
	fmt.Fprintln(out)
}

func legend(rep *report.Report) string {
	port := "a port of the node"
	for _, server := range rep.Servers {
		for _, published := range server.Published {
			port = fmt.Sprintf("port %d of the node", published.HostPort)
		}
	}
	return "name, ip: the container on the overlay network; port: " + port
}

// nodePair is two nodes by name. The first one probes the second one.
type nodePair struct{ from, to string }

// nodeLinks are the kinds of addresses that work between nodes. A pair that was not
// probed is missing.
type nodeLinks struct {
	nodes []string
	kinds map[nodePair][]report.Kind
}

func linksOf(rep *report.Report) nodeLinks {
	links := nodeLinks{kinds: map[nodePair][]report.Kind{}}
	for _, n := range rep.Nodes {
		links.nodes = append(links.nodes, n.Name)
	}
	for _, p := range rep.Probes {
		pair := nodePair{strings.TrimPrefix(p.Vantage, "node:"), rep.Servers[p.Server].Node}
		kinds := links.kinds[pair]
		if p.OK {
			kinds = append(kinds, p.Kind)
		}
		links.kinds[pair] = kinds
	}
	return links
}

// cell says which kinds of addresses connect one node to another.
func (l nodeLinks) cell(from, to string) string {
	kinds, probed := l.kinds[nodePair{from, to}]
	if !probed {
		return notProbed
	}
	var words []string
	for _, k := range nodeKinds {
		if slices.Contains(kinds, k.kind) {
			words = append(words, k.word)
		}
	}
	return cmp.Or(strings.Join(words, " "), noneWorks)
}

// matrix has a row for each node that probes and a column for each node that is
// probed.
func (l nodeLinks) matrix(s layout.Screen) string {
	rows := append(make([][]string, 0, 1+len(l.nodes)), []string{"FROM"})
	for _, from := range l.nodes {
		row := append(make([]string, 0, 1+len(l.nodes)), from)
		for _, to := range l.nodes {
			row = append(row, l.cell(from, to))
		}
		rows = append(rows, row)
		rows[0] = append(rows[0], "TO "+from)
	}
	return s.Align(rows)
}

// brokenPairs says how many pairs of nodes all kinds of addresses connect, and
// lists the other pairs.
func (l nodeLinks) brokenPairs(s layout.Screen) string {
	rows := [][]string{{"FROM", "TO", "REACHED BY"}}
	whole := 0
	for _, from := range l.nodes {
		for _, to := range l.nodes {
			words := l.cell(from, to)
			if words == allKinds() {
				whole++
				continue
			}
			row := []string{from, to, words}
			if s.Width > 0 {
				row[0], row[1] = layout.Shorten(from, maxNodeName), layout.Shorten(to, maxNodeName)
			}
			rows = append(rows, row)
		}
	}
	text := fmt.Sprintf("%d nodes: of %d pairs, %d reach each other by %s\n", len(l.nodes), len(l.nodes)*len(l.nodes), whole, allKinds())
	if len(rows) == 1 {
		return text
	}
	return text + "\n" + s.Align(rows)
}

// maxNodeName bounds a name in the list of pairs on a terminal, in characters.
const maxNodeName = 40

// allKinds is the cell of two nodes that every kind of address connects.
func allKinds() string {
	words := make([]string, len(nodeKinds))
	for i, k := range nodeKinds {
		words[i] = k.word
	}
	return strings.Join(words, " ")
}
