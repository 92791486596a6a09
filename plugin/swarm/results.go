package swarm

import (
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/ranking"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// summarize fills in the Report: servers and probes, and if the run has measured all, also
// the causes, the best address of each server from each node, and whether all active nodes
// reach each other.
func (r *run) summarize(measured bool) {
	probes := make([]report.Probe, 0, len(r.nodes)*len(r.nodes))
	for _, n := range r.nodes {
		r.report.Servers = append(r.report.Servers, r.serverOf(n))
		probes = append(probes, r.rows(n)...)
	}
	if !measured {
		r.report.Probes = append(r.report.Probes, probes...)
		return
	}
	explained := explain(r.facts(), probes)
	r.report.Probes = append(r.report.Probes, explained.Probes...)
	r.report.Findings = explained.Findings
	r.report.OK = true
	for _, from := range r.nodes {
		seen := slices.DeleteFunc(slices.Clone(r.report.Probes), func(p report.Probe) bool { return p.Vantage != from.vantage() })
		for to, server := range r.nodes {
			b, ok := ranking.PickBest(to, seen, rankedKinds, r.request.Target.Path)
			if ok {
				r.report.Best = append(r.report.Best, b)
			}
			// A node that is down counts: one that is cut off goes down some seconds later.
			if from.isActive() && server.isActive() && !ok {
				r.report.OK = false
			}
		}
	}
}

// rankedKinds are the kinds of addresses between nodes, the longest-lived first. The port of
// a node outlives the container behind it; the container's name and address do not.
var rankedKinds = []report.Kind{
	report.KindPublishedEngineHost,
	report.KindContainerName,
	report.KindContainerIP,
}

// rows returns the Report's probes from a node.
func (r *run) rows(from *node) []report.Probe {
	all := make([]report.Probe, 0, len(from.results))
	for to, n := range r.nodes {
		results := make([]netprobe.Result, len(n.attempts))
		for i := range results {
			if found := from.result(to, i); found != nil {
				results[i] = *found
			}
		}
		all = append(all, probing.Rows(from.vantage(), to, n.attempts, results)...)
	}
	return all
}

// result returns the result of the node's helper for an attempt; nil if it has none.
func (n *node) result(race, attempt int) *netprobe.Result {
	i := slices.IndexFunc(n.results, func(r NodeResult) bool { return r.Race == race && r.Attempt == attempt })
	if i < 0 {
		return nil
	}
	return &n.results[i].Result
}

// serverOf returns the Report's entry for a node's server.
func (r *run) serverOf(n *node) report.Server {
	s := report.Server{Node: n.name, Builtin: true, Port: r.request.Port, Networks: []report.Network{}, Published: []report.PortBinding{}}
	for _, image := range r.images {
		if image.platform == n.Description.Platform {
			s.Image = image.tag
		}
	}
	if n.server == nil {
		return s
	}
	s.Name = r.taskName(n.server)
	if n.server.Status.ContainerStatus != nil {
		s.ID = n.server.Status.ContainerStatus.ContainerID
	}
	if ip := r.overlayIP(n.server); ip.IsValid() {
		s.Networks = append(s.Networks, report.Network{Name: r.network, Driver: "overlay", IPv4: ip.String()})
	}
	s.Published = append(s.Published, report.PortBinding{HostIP: n.address, HostPort: r.port})
	return s
}

// facts returns what the diagnosis needs to know about the nodes besides the probes.
func (r *run) facts() swarmFacts {
	facts := swarmFacts{Port: r.port}
	for i, n := range r.nodes {
		known := nodeFacts{
			Name:         n.name,
			Vantage:      n.vantage(),
			Address:      n.address,
			Active:       n.isActive(),
			State:        stateOf(n.Node),
			ServerError:  n.serverError,
			HelperError:  n.helperError,
			ImageMissing: n.imageMissing,
			Image:        r.serverOf(n).Image,
			Context:      n.reached.Context,
			Gossip:       map[string]gossip{},
		}
		if n.reached.Err != nil {
			known.NotLoaded = n.reached.Err.Error()
		}
		for _, from := range r.nodes {
			if seen := from.result(len(r.nodes)+i, 0); seen != nil {
				known.Gossip[from.vantage()] = gossip{Detail: seen.Detail, Failure: seen.Failure}
			}
		}
		facts.Nodes = append(facts.Nodes, known)
	}
	return facts
}
