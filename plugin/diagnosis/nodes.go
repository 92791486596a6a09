package diagnosis

import (
	"fmt"
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Nodes is what is known of the nodes of a Swarm, each of which has probed the
// servers of all, besides what the probes observed. The Server of a probe is an index
// into Nodes.
type Nodes struct {
	Nodes []Node
	Port  uint16 // of every node, at which its server is published
}

// Node is one node of a Swarm.
type Node struct {
	Name        string
	Vantage     string // as the probes from it have it
	Address     string
	Active      bool   // its availability allows containers on it
	State       string // in the manager's words
	ServerError string // why it has no server; empty if it has one
	HelperError string // why it has reported nothing; empty if it has

	ImageMissing bool   // the image is not there
	Image        string // the image
	NotLoaded    string // why it could not be loaded there
	Context      string // the user's context for the node's engine, which answered; empty for none

	Gossip map[string]Gossip // by the vantage that probed it
}

// down is the state of a node that the managers hear nothing of.
const down = "down"

// Gossip is whether a node's engine takes connections of other engines.
type Gossip struct {
	Failure netprobe.Failure // empty if it does
	Detail  string
}

// ExplainNodes finds out why nodes do not reach each other. If no address works
// between two nodes, that is an error; if another one does, it is a warning.
func ExplainNodes(n Nodes, probes []report.Probe) Result {
	result := Result{Probes: slices.Clone(probes)}
	p := newPartitions(n, result.Probes)
	var found []report.Finding
	for _, node := range n.Nodes {
		if node.ImageMissing {
			found = append(found, Finding(node.imageFault()))
		}
	}
	if links := p.broken(); len(links) > 0 {
		finding := p.firewall(links)
		found = append(found, finding)
		for _, l := range links {
			for _, r := range l.dropped {
				r.Cause, r.Hint = finding.Cause, finding.Hint
			}
		}
	}
	failing, severity := p.failing()
	result.Findings = slices.Concat(
		Merge(found),
		undecided("Not every node takes part", p.missingNodes(), report.SeverityError),
		undecided("Some probes between nodes fail", failing, severity),
	)
	return result
}

// undecided returns the finding on what has no cause; none without evidence.
func undecided(what string, fault *report.Fault, severity report.Severity) []report.Finding {
	if len(fault.Evidence) == 0 {
		return nil
	}
	fault.Evidence = bounded(fault.Evidence)
	finding := Finding(fault)
	finding.Title, finding.Severity = what+", and what was measured does not decide why", severity
	return []report.Finding{finding}
}

// bounded leaves out the lines that are too many for one finding.
func bounded(lines []string) []string {
	if len(lines) <= maxEvidence {
		return lines
	}
	return append(lines[:maxEvidence:maxEvidence], fmt.Sprintf("and %d lines more", len(lines)-maxEvidence))
}

// absent is what is known of the nodes that take no part, although they should.
func (p *partitions) missingNodes() *report.Fault {
	fault := &report.Fault{Hint: "see `docker node ls`, and check on the node that its engine runs and what its log says"}
	for i, n := range p.nodes {
		if !n.Active || n.HelperError == "" || n.ImageMissing || p.cutOff(i) {
			continue
		}
		also(fault, "node %s (%s) takes no part: %s", n.Name, n.Address, n.HelperError)
		fault.Evidence = append(fault.Evidence, p.observedOf(i)...)
	}
	return fault
}

// failing are the probes between nodes that take part, and have no cause.
func (p *partitions) failing() (*report.Fault, report.Severity) {
	fault := &report.Fault{Hint: "the rows above are all that was observed: probe from a container on one of these nodes to narrow it down"}
	severity := report.SeverityWarning
	for _, l := range slices.Concat(p.links...) {
		if p.nodes[l.to].HelperError != "" {
			continue
		}
		for _, r := range l.rows {
			if r.OK || r.Cause != "" {
				continue
			}
			fault.Evidence = append(fault.Evidence, observed(*r))
			if !l.reached() {
				severity = report.SeverityError
			}
		}
	}
	return fault, severity
}

// observedOf is what the other nodes have seen of one that takes no part.
func (p *partitions) observedOf(to int) []string {
	var lines []string
	for from, other := range p.nodes {
		for _, r := range p.links[from][to].rows {
			if !r.OK {
				lines = append(lines, observed(*r))
			}
		}
		if gossip, ok := p.nodes[to].Gossip[other.Vantage]; ok {
			lines = append(lines, fmt.Sprintf("from %s: its engine's port 7946: %s", other.Vantage, gossip.Detail))
		}
	}
	return lines
}
