package swarm

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/pkg/stdcopy"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// settleLimit is how long what fails is tried again from a node. What a node knows
// of the containers of others it has from their gossip, which took less than a
// second.
const settleLimit = 10 * time.Second

// gossipPort is where the engines of a Swarm tell each other of their containers,
// over TCP and UDP (Docker's documentation, "Getting started with Swarm mode").
const gossipPort = 7946

// probe has a helper on every node try the servers of all.
func (r *nodesRun) probe(ctx context.Context) error {
	defer r.options.Progress.Step("Asking from every node")()
	r.sent = r.newWork()
	word, err := r.sent.Encode()
	if err != nil {
		return err
	}
	helper := r.containerSpec("probe")
	helper.Env = []string{WorkVariable + "=" + word}
	services, err := r.createServices(ctx, "helper", swarm.ServiceSpec{
		// A driver whose logs the manager can read, whatever the engine's default is.
		TaskTemplate: swarm.TaskSpec{ContainerSpec: helper, LogDriver: &swarm.Driver{Name: "json-file"}},
	})
	if err != nil {
		return err
	}
	reports := map[*node]*swarm.Task{}
	wait := r.spec.Wait + r.settle()
	err = r.awaitTasks(ctx, services, wait, func(n *node, t *swarm.Task) (bool, error) {
		switch {
		case n.silent != "":
		case t != nil && ended(t):
			reports[n] = t
		case !takes(n.Node):
			n.silent = "it is " + stateOf(n.Node) + " since the command began"
		default:
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, n := range r.nodes {
		if reports[n] == nil && n.silent == "" {
			n.silent = fmt.Sprintf("its helper has not ended within %s", wait)
		}
	}
	return r.collect(ctx, reports)
}

func (r *nodesRun) settle() time.Duration { return min(settleLimit, r.spec.Wait) }

// newWork is what every helper is to do: a race for each node's server, and then
// one for each node's engine, where its gossip is. What it is depends on the state of
// the nodes, which may be another when the helpers have done it; so what they were told
// is kept.
func (r *nodesRun) newWork() NodeWork {
	work := NodeWork{Settle: r.settle()}
	for _, n := range r.nodes {
		race := r.spec.Terms()
		race.Wait = work.Settle
		n.candidates = r.candidatesOf(n)
		for _, c := range n.candidates {
			race.Attempts = append(race.Attempts, netprobe.Attempt{Target: r.spec.Target(c.Address, r.identity(n))})
		}
		work.Races = append(work.Races, race)
	}
	for _, n := range r.nodes {
		race := netprobe.Race{Timeout: r.spec.Timeout, Wait: work.Settle}
		if n.address != "" {
			race.Attempts = []netprobe.Attempt{{Target: netprobe.Target{
				Scheme: netprobe.TCP, Address: net.JoinHostPort(n.address, strconv.Itoa(gossipPort)),
			}}}
		}
		work.Races = append(work.Races, race)
	}
	return work
}

// candidatesOf are the addresses of a node's server, which other nodes are to try. A
// node that is down has that of its machine left.
func (r *nodesRun) candidatesOf(n *node) []experiment.Candidate {
	var l experiment.CandidateList
	if n.server != nil {
		l.AddName(report.KindContainerName, r.taskName(n.server), r.spec.Port, "the container's name on the overlay network")
		l.Add(report.KindContainerIP, r.overlayIP(n.server), r.spec.Port, "the container's address on the overlay network")
	}
	if address, err := netip.ParseAddr(n.address); err == nil && (n.server != nil || n.Status.State != swarm.NodeStateReady) {
		l.Add(report.KindPublishedEngineHost, address, r.port, "the node's address, where its server is published")
	}
	return l.Candidates
}

// taskName is the name of the container of a global service's task, which Docker's
// resolver knows on each of its networks, also on other nodes (measured on 26.1).
func (r *nodesRun) taskName(t *swarm.Task) string {
	return r.services[t.ServiceID] + "." + t.NodeID + "." + t.ID
}

func (r *nodesRun) overlayIP(t *swarm.Task) netip.Addr {
	for _, attachment := range t.NetworksAttachments {
		if attachment.Network.Spec.Name != r.network {
			continue
		}
		for _, text := range attachment.Addresses {
			if prefix, err := netip.ParsePrefix(text); err == nil {
				return prefix.Addr()
			}
		}
	}
	return netip.Addr{}
}

// logLimit bounds the reading of one helper's log. It comes from the node by way of
// the manager, which waits for ever for a node that has just gone.
const logLimit = 5 * time.Second

// collect reads what the helpers have printed.
func (r *nodesRun) collect(ctx context.Context, reports map[*node]*swarm.Task) error {
	var group errgroup.Group
	for n, t := range reports {
		group.Go(func() error {
			n.results, n.silent = r.read(ctx, t)
			return nil
		})
	}
	_ = group.Wait() // what cannot be read is a result
	return context.Cause(ctx)
}

// read returns what a helper has printed, or why that is not to be had.
func (r *nodesRun) read(ctx context.Context, t *swarm.Task) (results []NodeResult, silent string) {
	reading, cancel := context.WithTimeout(ctx, logLimit)
	defer cancel()
	logs, err := r.options.Manager.TaskLogs(reading, t.ID, container.LogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return nil, "the log of its helper cannot be read: " + err.Error()
	}
	defer func() { _ = logs.Close() }()
	var said engine.Tail
	reader, writer := io.Pipe()
	var copying errgroup.Group
	copying.Go(func() error {
		_, err := stdcopy.StdCopy(writer, &said, logs)
		return writer.CloseWithError(err)
	})
	results = parse(reader)
	_ = reader.Close() // so that nothing more is copied
	_ = copying.Wait() // CloseWithError returns nil
	switch want := r.sent.targets(); {
	case len(results) == want:
		return results, ""
	case t.Status.State != swarm.TaskStateComplete:
		return nil, failureOf(t)
	default:
		return nil, fmt.Sprintf("the log of its helper has %d of %d results", len(results), want)
	}
}

// parse reads results, a line each.
func parse(from io.Reader) []NodeResult {
	var results []NodeResult
	for lines := bufio.NewScanner(from); lines.Scan(); {
		var result NodeResult
		if json.Unmarshal(lines.Bytes(), &result) == nil {
			results = append(results, result)
		}
	}
	return results
}

func (w NodeWork) targets() int {
	n := 0
	for _, race := range w.Races {
		n += len(race.Attempts)
	}
	return n
}

// rows are the Report's for what was seen from a node.
func (r *nodesRun) rows(from *node) []report.Probe {
	all := make([]report.Probe, 0, len(from.results))
	for to, n := range r.nodes {
		attempts := make([]experiment.Attempt, len(n.candidates))
		results := make([]netprobe.Result, len(n.candidates))
		for i, c := range n.candidates {
			attempts[i] = experiment.Attempt{Candidate: c, Target: r.spec.Target(c.Address, r.identity(n))}
			if found := from.find(to, i); found != nil {
				results[i] = *found
			}
		}
		all = append(all, experiment.Rows(from.vantage(), to, attempts, results)...)
	}
	return all
}

// find is what the node's helper has reported of an attempt; nil for nothing.
func (n *node) find(race, attempt int) *netprobe.Result {
	i := slices.IndexFunc(n.results, func(r NodeResult) bool { return r.Race == race && r.Attempt == attempt })
	if i < 0 {
		return nil
	}
	return &n.results[i].Result
}

// describe is a node's server as a part of the Report.
func (r *nodesRun) describe(n *node) report.Server {
	s := report.Server{Node: n.name, Builtin: true, Port: r.spec.Port, Networks: []report.Network{}, Published: []report.PortBinding{}}
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

// facts are what is known of the nodes besides the rows.
func (r *nodesRun) facts() diagnosis.Nodes {
	facts := diagnosis.Nodes{Port: r.port}
	for i, n := range r.nodes {
		known := diagnosis.Node{
			Name:    n.name,
			Vantage: n.vantage(),
			Address: n.address,
			Wanted:  n.wanted(),
			State:   stateOf(n.Node),
			Absent:  n.absent,
			Silent:  n.silent,
			Lacking: n.lacking,
			Image:   r.describe(n).Image,
			Context: n.reached.Context,
			Gossip:  map[string]diagnosis.Gossip{},
		}
		if n.reached.Err != nil {
			known.NotLoaded = n.reached.Err.Error()
		}
		for _, from := range r.nodes {
			if seen := from.find(len(r.nodes)+i, 0); seen != nil {
				known.Gossip[from.vantage()] = diagnosis.Gossip{OK: seen.OK, Detail: seen.Detail, Failure: seen.Failure}
			}
		}
		facts.Nodes = append(facts.Nodes, known)
	}
	return facts
}
