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
	Failure string
	Detail  string
}

// ExplainNodes says why nodes do not reach each other. Like [Explain] it fills in
// the Cause and Hint of the rows whose cause the facts decide. What leaves a pair of
// nodes without a way is an error, what leaves it another way a warning.
func ExplainNodes(n Nodes, probes []report.Probe) []report.Finding {
	c := &cuts{Nodes: n, rows: probes}
	found := findings{list: []report.Finding{}}
	for i := range n.Nodes {
		found.add(n.Nodes[i].lacks(), report.SeverityError)
	}
	fault, severity := c.dropped()
	found.add(fault, severity)
	for _, open := range c.open() {
		found.list = append(found.list, open)
	}
	return found.list
}

// lacks is the fault of a node that has not the image.
func (n Node) lacks() *Fault {
	if !n.Lacking {
		return nil
	}
	fault := &Fault{
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
	Nodes
	rows []report.Probe
}

// way is what was seen on the way from one node to another.
type way struct {
	from, to int
	rows     []*report.Probe
	dropped  []*report.Probe // of these, those that something drops
	gossip   bool            // the engine's port is dropped too
}

// reached says whether any address works.
func (w way) reached() bool {
	return slices.ContainsFunc(w.rows, func(p *report.Probe) bool { return p.OK })
}

func (c *cuts) way(from, to int) way {
	w := way{from: from, to: to}
	for i := range c.rows {
		row := &c.rows[i]
		if row.Vantage == c.Nodes.Nodes[from].Vantage && row.Server == to {
			w.rows = append(w.rows, row)
		}
	}
	gossip, asked := c.Nodes.Nodes[to].Gossip[c.Nodes.Nodes[from].Vantage]
	w.gossip = asked && lost(gossip.Failure)
	for _, row := range w.rows {
		if c.drops(row, w) {
			w.dropped = append(w.dropped, row)
		}
	}
	return w
}

// lost says whether nothing came back.
func lost(failure string) bool {
	return failure == string(netprobe.ConnectTimeout) || failure == string(netprobe.NoResponse) || failure == string(netprobe.Unreachable)
}

// drops says whether a row fails since packets are dropped: there was no answer at
// all, and the server is known to run. A name is not found where the engines' gossip
// is dropped, by which they know of each other's containers.
func (c *cuts) drops(row *report.Probe, w way) bool {
	switch {
	case row.OK || w.from == w.to || !c.runs(w.to, row.Kind):
		return false
	case unnamed(row):
		return w.gossip
	default:
		return lost(row.Failure)
	}
}

// runs says whether a node's server is known to be reached by a kind of address from
// some node, itself included; or the node is down to the manager, and its engine
// answers the user.
func (c *cuts) runs(to int, kind report.Kind) bool {
	n := c.Nodes.Nodes[to]
	if n.State == down && n.Context != "" {
		return true
	}
	return slices.ContainsFunc(c.rows, func(p report.Probe) bool { return p.Server == to && p.Kind == kind && p.OK })
}

// dropped is what firewalls between the nodes drop.
func (c *cuts) dropped() (*Fault, report.Severity) {
	fault := &Fault{Cause: FirewallDrops}
	severity := report.SeverityWarning
	var ways []way
	for from := range c.Nodes.Nodes {
		for to := range c.Nodes.Nodes {
			w := c.way(from, to)
			if len(w.dropped) == 0 {
				continue
			}
			ways = append(ways, w)
			if !w.reached() {
				severity = report.SeverityError
			}
		}
	}
	if len(ways) == 0 {
		return nil, ""
	}
	fault.Hint = c.toOpen(ways)
	for _, w := range ways {
		for _, row := range w.dropped {
			row.Cause, row.Hint = string(FirewallDrops), netprobe.Visible(fault.Hint, maxLine)
		}
	}
	fault.Evidence = append(c.between(ways), c.proofs(ways)...)
	return fault, severity
}

// What is dropped between two nodes, in the words of whoever opens ports.
const (
	overlayPorts = "udp 4789 (overlay networks)"
	gossipPorts  = "tcp and udp 7946 (gossip of the engines)"
)

// ports lists what is dropped on ways.
func (c *cuts) ports(ways []way) []string {
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
		ports = append(ports, fmt.Sprintf("tcp %d (a published port)", c.Port))
	}
	return ports
}

// management is what a node reports to the managers by that it is up.
const management = "tcp 2377 (to the managers)"

// toOpen says which ports are to pass.
func (c *cuts) toOpen(ways []way) string {
	var names []string
	for i, n := range c.Nodes.Nodes {
		if n.Address != "" && slices.ContainsFunc(ways, func(w way) bool { return w.from == i || w.to == i }) {
			names = append(names, fmt.Sprintf("%s (%s)", n.Name, n.Address))
		}
	}
	ports := c.ports(ways)
	if slices.ContainsFunc(ways, func(w way) bool { return c.Nodes.Nodes[w.to].State == down }) {
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
func (c *cuts) between(ways []way) []string {
	var lines []string
	told := map[int]bool{}
	for i, n := range c.Nodes.Nodes {
		own := slices.DeleteFunc(slices.Clone(ways), func(w way) bool { return w.from != i && w.to != i })
		if c.others(i) > 1 && len(partners(own, i)) == c.others(i) && len(own) > 0 {
			told[i] = true
			lines = append(lines, c.cutOff(own, n.Name, "every other node"))
		}
	}
	for from := range c.Nodes.Nodes {
		for to := from + 1; to < len(c.Nodes.Nodes); to++ {
			own := slices.DeleteFunc(slices.Clone(ways), func(w way) bool { return min(w.from, w.to) != from || max(w.from, w.to) != to })
			if len(own) > 0 && !told[from] && !told[to] {
				lines = append(lines, c.cutOff(own, c.Nodes.Nodes[from].Name, c.Nodes.Nodes[to].Name))
			}
		}
	}
	return lines
}

// cutOff says what is dropped between a node and others, and whether that is all
// there is.
func (c *cuts) cutOff(ways []way, name, others string) string {
	if slices.ContainsFunc(ways, way.reached) {
		return fmt.Sprintf("between node %s and %s packets are dropped: %s", name, others, listed(c.ports(ways)))
	}
	return fmt.Sprintf("node %s is cut off from %s: %s", name, others, listed(c.ports(ways)))
}

// others is how many other nodes can be asked from, or have a server.
func (c *cuts) others(i int) int {
	n := 0
	for j, other := range c.Nodes.Nodes {
		if j != i && other.Silent == "" {
			n++
		}
	}
	return n
}

// partners are the nodes at the other ends of ways.
func partners(ways []way, i int) map[int]bool {
	all := map[int]bool{}
	for _, w := range ways {
		all[w.from+w.to-i] = true
	}
	return all
}

// proofs are the rows, and who reaches the same servers.
func (c *cuts) proofs(ways []way) []string {
	var lines []string
	for _, w := range ways {
		for _, row := range w.dropped {
			if row.Kind != report.KindContainerName || unnamed(row) { // else it is the address that it leads to
				lines = append(lines, seen(row))
			}
		}
	}
	for to, n := range c.Nodes.Nodes {
		if !slices.ContainsFunc(ways, func(w way) bool { return w.to == to }) {
			continue
		}
		var reach []string
		for from, other := range c.Nodes.Nodes {
			if c.way(from, to).reached() {
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

// open are the findings on what the evidence does not decide: nodes that take no
// part, and rows that fail otherwise.
func (c *cuts) open() []report.Finding {
	absent := &Fault{Hint: "see `docker node ls`, and on the node that its engine runs and what its log says"}
	for i, n := range c.Nodes.Nodes {
		if n.Lacking || n.Silent == "" || c.explained(i) {
			continue
		}
		if !n.Wanted {
			continue // it is drained or paused
		}
		absent.Evidence = append(absent.Evidence, fmt.Sprintf("node %s (%s) takes no part: %s", n.Name, n.Address, n.Silent))
		absent.Evidence = append(absent.Evidence, c.towards(i)...)
	}
	failing := &Fault{Hint: "the rows above are all that was observed; ask from a container on one of these nodes with docker nestprobe diagnose --from to narrow it down"}
	severity := report.SeverityWarning
	for from := range c.Nodes.Nodes {
		for to, n := range c.Nodes.Nodes {
			w := c.way(from, to)
			for _, row := range w.rows {
				if !row.OK && row.Cause == "" && n.Silent == "" {
					failing.Evidence = append(failing.Evidence, seen(row))
					if !w.reached() {
						severity = report.SeverityError
					}
				}
			}
		}
	}
	var all []report.Finding
	if len(absent.Evidence) > 0 {
		all = append(all, titled(absent, "Not every node takes part, and what was measured does not decide why", report.SeverityError))
	}
	if len(failing.Evidence) > 0 {
		all = append(all, titled(failing, "Some ways between nodes fail, and what was measured does not decide why", severity))
	}
	return all
}

func titled(fault *Fault, title string, severity report.Severity) report.Finding {
	fault.Evidence = fault.Evidence[:min(len(fault.Evidence), maxEvidence)]
	finding := fault.Finding()
	finding.Title, finding.Severity = title, severity
	return finding
}

// explained says whether it is known what is wrong with the ways to a node.
func (c *cuts) explained(i int) bool {
	return slices.ContainsFunc(c.rows, func(p report.Probe) bool { return p.Server == i && p.Cause != "" })
}

// towards is what the others have seen of a node that takes no part.
func (c *cuts) towards(i int) []string {
	var lines []string
	for _, row := range c.rows {
		if row.Server == i && !row.OK {
			lines = append(lines, seen(&row))
		}
	}
	for _, other := range c.Nodes.Nodes {
		if gossip, ok := c.Nodes.Nodes[i].Gossip[other.Vantage]; ok {
			lines = append(lines, fmt.Sprintf("from %s: its engine's port 7946: %s", other.Vantage, gossip.Detail))
		}
	}
	return lines
}
