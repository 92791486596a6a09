package render

import (
	"bytes"
	"fmt"
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
	reached := reachedFrom(rep)
	if text := reached.matrix(); width(text) <= maxWidth {
		out.WriteString(text)
	} else {
		out.WriteString(reached.pairs())
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

// reach is by which ways nodes reach each other, in words.
type reach struct {
	nodes []string
	words map[[2]string]string // by the node that asks and the one that is asked for
}

func reachedFrom(rep *report.Report) reach {
	r := reach{words: map[[2]string]string{}}
	for _, n := range rep.Nodes {
		r.nodes = append(r.nodes, n.Name)
	}
	works := map[[2]string]map[report.Kind]bool{}
	for _, p := range rep.Probes {
		pair := [2]string{strings.TrimPrefix(p.Vantage, "node:"), rep.Servers[p.Server].Node}
		if works[pair] == nil {
			works[pair] = map[report.Kind]bool{}
		}
		works[pair][p.Kind] = p.OK
	}
	for pair, kinds := range works {
		var words []string
		for _, w := range ways {
			if kinds[w.kind] {
				words = append(words, w.word)
			}
		}
		if len(words) == 0 {
			words = []string{noWay}
		}
		r.words[pair] = strings.Join(words, " ")
	}
	return r
}

// cell says by which ways one node reaches another.
func (r reach) cell(from, to string) string {
	if words, ok := r.words[[2]string{from, to}]; ok {
		return words
	}
	return notAsked
}

// matrix has a row for each node that asks and a column for each that is asked for.
func (r reach) matrix() string {
	n := len(r.nodes)
	rows := make([][]string, n+1)
	rows[0] = make([]string, n+1)
	rows[0][0] = "FROM"
	for i, from := range r.nodes {
		rows[0][i+1] = "TO " + from
		rows[i+1] = make([]string, n+1)
		rows[i+1][0] = from
		for j, to := range r.nodes {
			rows[i+1][j+1] = r.cell(from, to)
		}
	}
	return align(rows)
}

// pairs lists the pairs of nodes that lack a way, below how many there are.
func (r reach) pairs() string {
	rows := [][]string{{"FROM", "TO", "REACHED BY"}}
	whole := 0
	for _, from := range r.nodes {
		for _, to := range r.nodes {
			what := r.cell(from, to)
			if what == everyWay() {
				whole++
				continue
			}
			rows = append(rows, []string{shorten(from, nameRoom), shorten(to, nameRoom), what})
		}
	}
	text := fmt.Sprintf("%d nodes: of %d pairs, %d reach each other by %s\n", len(r.nodes), len(r.nodes)*len(r.nodes), whole, everyWay())
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
