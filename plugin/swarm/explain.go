package swarm

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis/evidence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// swarmFacts is what is known of the nodes of a Swarm, each of which has probed the
// servers of all, besides what the probes observed. The Server of a probe is an index
// into Nodes.
type swarmFacts struct {
	Nodes []nodeFacts
	Port  uint16 // of every node, at which its server is published
}

// nodeFacts is one node of a Swarm.
type nodeFacts struct {
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

	Gossip map[string]gossip // by the vantage that probed it
}

// down is the state of a node that the managers hear nothing of.
const down = "down"

// gossip is whether a node's engine takes connections of other engines.
type gossip struct {
	Failure netprobe.Failure // empty if it does
	Detail  string
}

// explain finds out why nodes do not reach each other. If no address works
// between two nodes, that is an error; if another one does, it is a warning.
func explain(n swarmFacts, probes []report.Probe) diagnosis.Result {
	result := diagnosis.Result{Probes: slices.Clone(probes)}
	p := newPartitions(n, result.Probes)
	var found []report.Finding
	for _, node := range n.Nodes {
		if node.ImageMissing {
			found = append(found, diagnosis.Finding(node.imageFault()))
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
		diagnosis.Merge(found),
		undecided("Not every node takes part", p.missingNodes(), report.SeverityError),
		undecided("Some probes between nodes fail", failing, severity),
	)
	return result
}

// imageFault is the fault of a node that does not have the image.
func (n nodeFacts) imageFault() *report.Fault {
	fault := &report.Fault{
		Cause:    diagnosis.ImageUnavailable,
		Evidence: []string{fmt.Sprintf("node %s: %s", n.Name, n.ServerError)},
		Hint:     "load the image on the nodes that lack it, or create a docker context for each, through which nestprobe loads it",
	}
	if n.NotLoaded != "" {
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("node %s: the image could not be loaded through context %s: %s", n.Name, n.Context, n.NotLoaded))
	}
	to := cmp.Or(n.Context, n.Name)
	fault.Commands = []string{ // no pipe, which Windows PowerShell 5.1 corrupts
		shell.Line("docker save -o image.tar %s", n.Image),
		shell.Line("docker --context %s load -i image.tar", to),
	}
	return fault
}

// undecided returns the finding on what has no cause; none without evidence.
func undecided(what string, fault *report.Fault, severity report.Severity) []report.Finding {
	if len(fault.Evidence) == 0 {
		return nil
	}
	fault.Evidence = bounded(fault.Evidence)
	finding := diagnosis.Finding(fault)
	finding.Title, finding.Severity = what+", and what was measured does not decide why", severity
	return []report.Finding{finding}
}

// bounded leaves out the lines that are too many for one finding.
func bounded(lines []string) []string {
	if len(lines) <= diagnosis.MaxEvidence {
		return lines
	}
	return append(lines[:diagnosis.MaxEvidence:diagnosis.MaxEvidence], fmt.Sprintf("and %d lines more", len(lines)-diagnosis.MaxEvidence))
}

// absent is what is known of the nodes that take no part, although they should.
func (p *partitions) missingNodes() *report.Fault {
	fault := &report.Fault{Hint: "see `docker node ls`, and check on the node that its engine runs and what its log says"}
	for i, n := range p.nodes {
		if !n.Active || n.HelperError == "" || n.ImageMissing || p.cutOff(i) {
			continue
		}
		fault.Evidence = append(fault.Evidence, fmt.Sprintf("node %s (%s) takes no part: %s", n.Name, n.Address, n.HelperError))
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
			fault.Evidence = append(fault.Evidence, evidence.Observed(*r))
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
				lines = append(lines, evidence.Observed(*r))
			}
		}
		if gossip, ok := p.nodes[to].Gossip[other.Vantage]; ok {
			lines = append(lines, fmt.Sprintf("from %s: its engine's port 7946: %s", other.Vantage, gossip.Detail))
		}
	}
	return lines
}
