package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Nodes are what is known of the nodes of a Swarm, each of which has asked for the
// servers of all, besides what the probes observed. Their probes' Server is an index
// into Nodes. [ExplainNodes] draws on them.
type Nodes struct {
	Nodes []Node
	Port  uint16 // of every node, at which its server is published
}

// Node is one node of a Swarm.
type Node struct {
	Name    string
	Vantage string // what the probes from it have
	Address string
	Wanted  bool   // the user wants containers on it
	State   string // in the manager's words
	Absent  string // why it has no server; empty if it has one
	Silent  string // why it has told nothing; empty if it has

	Lacking   bool   // the image is not there
	Image     string // the image
	NotLoaded string // why it could not be put there
	Context   string // the user's context that leads to the node's engine, which answered; empty for none

	Gossip map[string]Gossip // by the vantage that has asked for it
}

// down is the state of a node that the managers hear nothing of.
const down = "down"

// Gossip is whether a node's engine takes connections of other engines.
type Gossip struct {
	OK      bool
	Failure netprobe.Failure
	Detail  string
}

// ExplainNodes says why nodes do not reach each other. Like [Explain] it fills in
// the Cause and Hint of the rows whose cause the facts decide. What leaves a pair of
// nodes without a way is an error, what leaves it another way a warning.
func ExplainNodes(n Nodes, probes []report.Probe) []report.Finding {
	c := newCuts(n, probes)
	found := findings{list: []report.Finding{}}
	for i := range n.Nodes {
		found.add(n.Nodes[i].lacks(), report.SeverityError)
	}
	fault, severity := c.dropped()
	found.add(fault, severity)
	return append(found.list, c.open()...)
}

// lacks is the fault of a node that has not the image.
func (n Node) lacks() *report.Fault {
	if !n.Lacking {
		return nil
	}
	fault := &report.Fault{
		Cause:    ImageUnavailable,
		Evidence: []string{fmt.Sprintf("node %s: %s", n.Name, n.Absent)},
		Hint:     "load the image on the nodes that lack it, or make a docker context that leads to each, through which nestprobe does that",
	}
	if n.NotLoaded != "" {
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("node %s: context %s leads to it, and the image could not be loaded: %s", n.Name, n.Context, n.NotLoaded))
	}
	to := n.Context
	if to == "" {
		to = n.Name
	}
	fault.Commands = []string{fmt.Sprintf("docker save %s | docker --context %s load", n.Image, to)}
	return fault
}

// cuts looks for ways between nodes on which packets are dropped.
type cuts struct {
	nodes []Node
	port  uint16
	ways  [][]*way // by the node that asks, then by the one that is asked for
	runs  []map[report.Kind]bool
}

// way is what was seen on the way from one node to another.
type way struct {
	from, to int
	rows     []*report.Probe
	dropped  []*report.Probe // of these, those that something drops
	gossip   bool            // the engine's port is dropped too
}

// reached says whether any address works.
func (w *way) reached() bool {
	return slices.ContainsFunc(w.rows, func(p *report.Probe) bool { return p.OK })
}

// newCuts sorts the rows by their ways.
func newCuts(n Nodes, rows []report.Probe) *cuts {
	c := &cuts{nodes: n.Nodes, port: n.Port}
	index := map[string]int{}
	for from, node := range n.Nodes {
		index[node.Vantage] = from
		ways := make([]*way, len(n.Nodes))
		for to, other := range n.Nodes {
			gossip, asked := other.Gossip[node.Vantage]
			ways[to] = &way{from: from, to: to, gossip: asked && lost(gossip.Failure)}
		}
		c.ways = append(c.ways, ways)
		c.runs = append(c.runs, map[report.Kind]bool{})
	}
	for i := range rows {
		row := &rows[i]
		w := c.ways[index[row.Vantage]][row.Server]
		w.rows = append(w.rows, row)
		if row.OK {
			c.runs[row.Server][row.Kind] = true
		}
	}
	for _, w := range slices.Concat(c.ways...) {
		for _, row := range w.rows {
			if c.drops(row, w) {
				w.dropped = append(w.dropped, row)
			}
		}
	}
	return c
}

// lost says whether nothing came back.
func lost(failure netprobe.Failure) bool {
	return failure == netprobe.ConnectTimeout || failure == netprobe.NoResponse || failure == netprobe.Unreachable
}

// drops says whether a row fails since packets are dropped: there was no answer at
// all, and the server is known to run. A name is not found where the engines' gossip
// is dropped, by which they know of each other's containers.
func (c *cuts) drops(row *report.Probe, w *way) bool {
	switch {
	case row.OK || w.from == w.to || !c.running(w.to, row.Kind):
		return false
	case unnamed(row):
		return w.gossip
	default:
		return lost(row.Failure)
	}
}

// running says whether a node's server is known to be reached by a kind of address
// from some node, itself included; or the node is down to the manager, and its engine
// answers the user.
func (c *cuts) running(to int, kind report.Kind) bool {
	n := c.nodes[to]
	return c.runs[to][kind] || n.State == down && n.Context != ""
}

// dropped is what firewalls between the nodes drop.
func (c *cuts) dropped() (*report.Fault, report.Severity) {
	ways := slices.DeleteFunc(slices.Concat(c.ways...), func(w *way) bool { return len(w.dropped) == 0 })
	if len(ways) == 0 {
		return nil, ""
	}
	fault := &report.Fault{Cause: FirewallDrops, Hint: c.toOpen(ways)}
	severity := report.SeverityWarning
	for _, w := range ways {
		if !w.reached() {
			severity = report.SeverityError
		}
		for _, row := range w.dropped {
			row.Cause, row.Hint = FirewallDrops, netprobe.Visible(fault.Hint, report.MaxLine)
		}
	}
	fault.Evidence = bounded(slices.Concat(c.between(ways), c.reachable(ways), timeouts(ways)))
	return fault, severity
}

// bounded leaves out lines beyond what is told of one finding.
func bounded(lines []string) []string {
	if len(lines) <= maxEvidence {
		return lines
	}
	return append(lines[:maxEvidence:maxEvidence], fmt.Sprintf("and %d lines more", len(lines)-maxEvidence))
}

// What is dropped between two nodes, in the words of whoever opens ports.
const (
	overlayPorts = "udp 4789 (overlay networks)"
	gossipPorts  = "tcp and udp 7946 (gossip of the engines)"
)

// ports lists what is dropped on ways.
func (c *cuts) ports(ways []*way) []string {
	var overlay, gossip, published bool
	for _, w := range ways {
		gossip = gossip || w.gossip
		for _, row := range w.dropped {
			overlay = overlay || row.Kind == report.KindContainerIP || row.Kind == report.KindContainerName && !unnamed(row)
			published = published || row.Kind == report.KindPublishedEngineHost
		}
	}
	var ports []string
	if overlay {
		ports = append(ports, overlayPorts)
	}
	if gossip {
		ports = append(ports, gossipPorts)
	}
	if published {
		ports = append(ports, fmt.Sprintf("tcp %d (a published port)", c.port))
	}
	return ports
}

// management is what a node reports to the managers by that it is up.
const management = "tcp 2377 (to the managers)"

// toOpen says which ports are to pass.
func (c *cuts) toOpen(ways []*way) string {
	var names []string
	for i, n := range c.nodes {
		if n.Address != "" && slices.ContainsFunc(ways, func(w *way) bool { return w.from == i || w.to == i }) {
			names = append(names, fmt.Sprintf("%s (%s)", n.Name, n.Address))
		}
	}
	ports := c.ports(ways)
	if slices.ContainsFunc(ways, func(w *way) bool { return c.nodes[w.to].State == down }) {
		ports = append(ports, management)
	}
	return fmt.Sprintf("let %s pass between %s: see the rules of their firewalls, and of what is between them", listed(ports), listed(names))
}

// listed joins words as a sentence does.
func listed(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// between names the pairs of nodes between which something is dropped, each once; or
// the node, if it is all of its pairs.
func (c *cuts) between(ways []*way) []string {
	var lines []string
	told := map[int]bool{}
	for i, n := range c.nodes {
		own := slices.DeleteFunc(slices.Clone(ways), func(w *way) bool { return w.from != i && w.to != i })
		if c.others(i) > 1 && len(partners(own, i)) == c.others(i) && len(own) > 0 {
			told[i] = true
			lines = append(lines, c.cutOff(own, n.Name, "every other node"))
		}
	}
	for from := range c.nodes {
		for to := from + 1; to < len(c.nodes); to++ {
			own := slices.DeleteFunc(slices.Clone(ways), func(w *way) bool { return min(w.from, w.to) != from || max(w.from, w.to) != to })
			if len(own) > 0 && !told[from] && !told[to] {
				lines = append(lines, c.cutOff(own, c.nodes[from].Name, c.nodes[to].Name))
			}
		}
	}
	return lines
}

// cutOff says what is dropped between a node and others, and whether that is all
// there is.
func (c *cuts) cutOff(ways []*way, name, others string) string {
	if slices.ContainsFunc(ways, (*way).reached) {
		return fmt.Sprintf("between node %s and %s packets are dropped: %s", name, others, listed(c.ports(ways)))
	}
	return fmt.Sprintf("node %s is cut off from %s: %s", name, others, listed(c.ports(ways)))
}

// others is how many other nodes can be asked from, or have a server.
func (c *cuts) others(i int) int {
	n := 0
	for j, other := range c.nodes {
		if j != i && other.Silent == "" {
			n++
		}
	}
	return n
}

// partners are the nodes at the other ends of ways.
func partners(ways []*way, i int) map[int]bool {
	all := map[int]bool{}
	for _, w := range ways {
		all[w.from+w.to-i] = true
	}
	return all
}

// reachable says who reaches the servers that others do not reach.
func (c *cuts) reachable(ways []*way) []string {
	var lines []string
	for to, n := range c.nodes {
		if !slices.ContainsFunc(ways, func(w *way) bool { return w.to == to }) {
			continue
		}
		var reach []string
		for from, other := range c.nodes {
			if c.ways[from][to].reached() {
				reach = append(reach, other.Name)
			}
		}
		switch {
		case len(reach) > 0:
			lines = append(lines, fmt.Sprintf("the server on %s is reached from %s", n.Name, listed(reach)))
		case n.Context != "":
			lines = append(lines, fmt.Sprintf("node %s is %s to the manager, and its engine answers by context %s", n.Name, n.State, n.Context))
		}
	}
	return lines
}

// timeouts are the rows, without those of names that were found: they led to the
// address that has a row of its own.
func timeouts(ways []*way) []string {
	var lines []string
	for _, w := range ways {
		for _, row := range w.dropped {
			if row.Kind != report.KindContainerName || unnamed(row) {
				lines = append(lines, seen(row))
			}
		}
	}
	return lines
}

// open are the findings on what the evidence does not decide: nodes that take no
// part, and rows that fail otherwise.
func (c *cuts) open() []report.Finding {
	var all []report.Finding
	if absent := c.absent(); len(absent.Evidence) > 0 {
		all = append(all, titled(absent, "Not every node takes part, and what was measured does not decide why", report.SeverityError))
	}
	failing, severity := c.failing()
	if len(failing.Evidence) > 0 {
		all = append(all, titled(failing, "Some ways between nodes fail, and what was measured does not decide why", severity))
	}
	return all
}

// absent is what is known of the nodes that take no part, although they should.
func (c *cuts) absent() *report.Fault {
	fault := &report.Fault{Hint: "see `docker node ls`, and on the node that its engine runs and what its log says"}
	for i, n := range c.nodes {
		if !n.Wanted || n.Silent == "" || n.Lacking || c.explained(i) {
			continue
		}
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("node %s (%s) takes no part: %s", n.Name, n.Address, n.Silent))
		fault.Evidence = append(fault.Evidence, c.towards(i)...)
	}
	return fault
}

// failing are the rows between nodes that take part, and have no cause.
func (c *cuts) failing() (*report.Fault, report.Severity) {
	fault := &report.Fault{Hint: "the rows above are all that was observed; ask from a container on one of these nodes with docker nestprobe diagnose --from to narrow it down"}
	severity := report.SeverityWarning
	for _, w := range slices.Concat(c.ways...) {
		for _, row := range w.rows {
			if row.OK || row.Cause != "" || c.nodes[w.to].Silent != "" {
				continue
			}
			fault.Evidence = append(fault.Evidence, seen(row))
			if !w.reached() {
				severity = report.SeverityError
			}
		}
	}
	return fault, severity
}

func titled(fault *report.Fault, title string, severity report.Severity) report.Finding {
	fault.Evidence = bounded(fault.Evidence)
	finding := Finding(fault)
	finding.Title, finding.Severity = title, severity
	return finding
}

// explained says whether it is known what is wrong with the ways to a node.
func (c *cuts) explained(to int) bool {
	return slices.ContainsFunc(c.ways, func(from []*way) bool { return len(from[to].dropped) > 0 })
}

// towards is what the others have seen of a node that takes no part.
func (c *cuts) towards(to int) []string {
	var lines []string
	for from, other := range c.nodes {
		for _, row := range c.ways[from][to].rows {
			if !row.OK {
				lines = append(lines, seen(row))
			}
		}
		if gossip, ok := c.nodes[to].Gossip[other.Vantage]; ok {
			lines = append(lines, fmt.Sprintf("from %s: its engine's port 7946: %s", other.Vantage, gossip.Detail))
		}
	}
	return lines
}
