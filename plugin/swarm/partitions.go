package swarm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// partitions are the links between nodes, some of which drop packets.
type partitions struct {
	nodes []nodeFacts
	port  uint16
	links [][]*link // by the node that probes, then by the one that is probed
}

// link is what was seen from one node to another.
type link struct {
	from, to int
	rows     []*report.Probe
	dropped  []*report.Probe // of these, those whose packets something drops
	gossip   bool            // packets to the engine's port are dropped too
}

// reached says whether any address works.
func (l *link) reached() bool {
	return slices.ContainsFunc(l.rows, func(r *report.Probe) bool { return r.OK })
}

// newPartitions sorts the probes by their links.
func newPartitions(n swarmFacts, probes []report.Probe) *partitions {
	p := &partitions{nodes: n.Nodes, port: n.Port}
	index := map[string]int{}
	for from, node := range n.Nodes {
		index[node.Vantage] = from
		links := make([]*link, len(n.Nodes))
		for to, other := range n.Nodes {
			gossip, probed := other.Gossip[node.Vantage]
			links[to] = &link{from: from, to: to, gossip: probed && evidence.Unanswered(gossip.Failure)}
		}
		p.links = append(p.links, links)
	}
	for i, probe := range probes {
		l := p.links[index[probe.Vantage]][probe.Server]
		l.rows = append(l.rows, &probes[i])
	}
	for _, l := range slices.Concat(p.links...) {
		for _, r := range l.rows {
			if p.isDropped(r, l) {
				l.dropped = append(l.dropped, r)
			}
		}
	}
	return p
}

// isDropped says whether a row fails because packets are dropped: there was no answer
// at all, and the server is known to run. A name is not found where the engines'
// gossip is dropped, by which they know of each other's containers.
func (p *partitions) isDropped(r *report.Probe, l *link) bool {
	switch {
	case r.OK || l.from == l.to || !p.runs(l.to, r.Kind):
		return false
	case evidence.Unnamed(r.Failure):
		return l.gossip
	default:
		return evidence.Unanswered(r.Failure)
	}
}

// runs says whether some node, perhaps itself, reaches a node's server by a kind of
// address; or the node is down to the manager, and its engine answers the user.
func (p *partitions) runs(to int, kind report.Kind) bool {
	works := func(r *report.Probe) bool { return r.OK && r.Kind == kind }
	n := p.nodes[to]
	return n.State == down && n.Context != "" ||
		slices.ContainsFunc(p.links, func(from []*link) bool { return slices.ContainsFunc(from[to].rows, works) })
}

// broken returns the links that drop packets.
func (p *partitions) broken() []*link {
	return slices.DeleteFunc(slices.Concat(p.links...), func(l *link) bool { return len(l.dropped) == 0 })
}

// cutOff says whether packets to a node are known to be dropped.
func (p *partitions) cutOff(to int) bool {
	return slices.ContainsFunc(p.links, func(from []*link) bool { return len(from[to].dropped) > 0 })
}

// firewall is what firewalls between the nodes drop.
func (p *partitions) firewall(links []*link) report.Finding {
	finding := diagnosis.Finding(&report.Fault{
		Cause:    diagnosis.FirewallDrops,
		Evidence: bounded(slices.Concat(p.pairs(links), p.reachable(links), timeouts(links))),
		Hint:     p.openPorts(links),
	})
	if !slices.ContainsFunc(links, func(l *link) bool { return !l.reached() }) {
		finding.Severity = report.SeverityWarning
	}
	return finding
}

// What may be dropped between two nodes, as the rules of a firewall name it.
const (
	overlayPorts   = "udp 4789 (overlay networks)"
	gossipPorts    = "tcp and udp 7946 (gossip of the engines)"
	managementPort = "tcp 2377 (to the managers)" // by which a node reports that it is up
)

// ports lists what is dropped on links.
func (p *partitions) ports(links []*link) []string {
	published := fmt.Sprintf("tcp %d (a published port)", p.port)
	dropped := map[string]bool{}
	for _, l := range links {
		dropped[gossipPorts] = dropped[gossipPorts] || l.gossip
		for _, r := range l.dropped {
			switch {
			case r.Kind == report.KindPublishedEngineHost:
				dropped[published] = true
			case r.Kind == report.KindContainerIP, r.Kind == report.KindContainerName && !evidence.Unnamed(r.Failure):
				dropped[overlayPorts] = true
			}
		}
	}
	ports := []string{overlayPorts, gossipPorts, published}
	return slices.DeleteFunc(ports, func(port string) bool { return !dropped[port] })
}

// openPorts says which ports the firewalls must let pass.
func (p *partitions) openPorts(links []*link) string {
	var names []string
	for i, n := range p.nodes {
		if n.Address != "" && slices.ContainsFunc(links, func(l *link) bool { return l.from == i || l.to == i }) {
			names = append(names, fmt.Sprintf("%s (%s)", n.Name, n.Address))
		}
	}
	ports := p.ports(links)
	if slices.ContainsFunc(links, func(l *link) bool { return p.nodes[l.to].State == down }) {
		ports = append(ports, managementPort)
	}
	return fmt.Sprintf("let %s pass between %s: check their firewalls, and those between them", listed(ports), listed(names))
}

// listed joins words as a sentence does.
func listed(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// pairs names the pairs of nodes between which something is dropped, each once; or
// the node, if it is all of its pairs.
func (p *partitions) pairs(links []*link) []string {
	var lines []string
	named := map[int]bool{}
	for i, n := range p.nodes {
		own := slices.DeleteFunc(slices.Clone(links), func(l *link) bool { return l.from != i && l.to != i })
		partners := map[int]bool{}
		for _, l := range own {
			partners[l.from+l.to-i] = true
		}
		if p.others(i) > 1 && len(partners) == p.others(i) {
			named[i] = true
			lines = append(lines, p.pair(own, n.Name, "every other node"))
		}
	}
	for from := range p.nodes {
		for to := from + 1; to < len(p.nodes); to++ {
			own := slices.DeleteFunc(slices.Clone(links), func(l *link) bool { return min(l.from, l.to) != from || max(l.from, l.to) != to })
			if len(own) > 0 && !named[from] && !named[to] {
				lines = append(lines, p.pair(own, p.nodes[from].Name, p.nodes[to].Name))
			}
		}
	}
	return lines
}

// pair says what is dropped between a node and others, and whether anything passes.
func (p *partitions) pair(links []*link, name, others string) string {
	if slices.ContainsFunc(links, (*link).reached) {
		return fmt.Sprintf("between node %s and %s packets are dropped: %s", name, others, listed(p.ports(links)))
	}
	return fmt.Sprintf("node %s is cut off from %s: %s", name, others, listed(p.ports(links)))
}

// others is how many other nodes have reported.
func (p *partitions) others(i int) int {
	n := 0
	for j, other := range p.nodes {
		if j != i && other.HelperError == "" {
			n++
		}
	}
	return n
}

// reachable says which nodes reach the servers that others do not reach.
func (p *partitions) reachable(links []*link) []string {
	var lines []string
	for to, n := range p.nodes {
		if !slices.ContainsFunc(links, func(l *link) bool { return l.to == to }) {
			continue
		}
		var reach []string
		for from, other := range p.nodes {
			if p.links[from][to].reached() {
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

// timeouts are the dropped rows, without those of names that were found: they led to
// the address that has a row of its own.
func timeouts(links []*link) []string {
	var lines []string
	for _, l := range links {
		for _, r := range l.dropped {
			if r.Kind != report.KindContainerName || evidence.Unnamed(r.Failure) {
				lines = append(lines, evidence.Observed(*r))
			}
		}
	}
	return lines
}
