package swarm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/swarm"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/candidates"
	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// settleLimit is how long a helper retries addresses that fail. A node learns of the
// containers of other nodes by gossip, which took less than a second.
const settleLimit = 10 * time.Second

// gossipPort is the port on which the engines of a Swarm exchange their container networks,
// over TCP and UDP (Docker's documentation, "Getting started with Swarm mode").
const gossipPort = 7946

// probe has a helper on every node probe the servers of all nodes.
func (r *run) probe(ctx context.Context) error {
	defer r.options.Progress.Step("Probing from every node")()
	r.sent = r.newWork()
	word, err := r.sent.Encode()
	if err != nil {
		return err
	}
	helper := r.newContainerSpec("probe")
	helper.Env = []string{WorkVariable + "=" + word}
	services, err := r.createServices(ctx, "helper", swarm.ServiceSpec{
		// The manager can read logs of this driver. The engine's default may be another.
		TaskTemplate: swarm.TaskSpec{ContainerSpec: helper, LogDriver: &swarm.Driver{Name: "json-file"}},
	})
	if err != nil {
		return err
	}
	finished := map[*node]*swarm.Task{}
	wait := r.request.Wait + r.settleTime()
	err = r.awaitTasks(ctx, services, wait, func(n *node, t *swarm.Task) (bool, error) {
		switch {
		case n.helperError != "":
		case t != nil && hasEnded(t):
			finished[n] = t
		case !acceptsTasks(n.Node):
			n.helperError = "it is " + stateOf(n.Node) + " since the command began"
		default:
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, n := range r.nodes {
		if finished[n] == nil && n.helperError == "" {
			n.helperError = fmt.Sprintf("its helper has not ended within %s", wait)
		}
	}
	return r.readResults(ctx, finished)
}

// settleTime is how long the helpers of this run retry.
func (r *run) settleTime() time.Duration { return min(settleLimit, r.request.Wait) }

// newWork returns the work of every helper: a race for each node's server, and then a race
// for each node's gossip port. It depends on the states of the nodes, which may change
// before the helpers have ended, so the run keeps it as r.sent.
func (r *run) newWork() NodeWork {
	work := NodeWork{Settle: r.settleTime()}
	for _, n := range r.nodes {
		n.attempts = nil
		for _, c := range r.candidatesOf(n) {
			n.attempts = append(n.attempts, probing.Attempt{Candidate: c, Target: r.request.TargetAt(c.Address, r.identity(n))})
		}
		race := probing.RaceOf(n.attempts, r.request.Terms())
		race.Wait = work.Settle
		work.Races = append(work.Races, race)
	}
	for _, n := range r.nodes {
		race := netprobe.Race{Timeout: r.request.Timeout, Wait: work.Settle}
		if n.address != "" {
			race.Attempts = []netprobe.Attempt{{Target: netprobe.Target{
				Scheme: netprobe.TCP, Address: net.JoinHostPort(n.address, strconv.Itoa(gossipPort)),
			}}}
		}
		work.Races = append(work.Races, race)
	}
	return work
}

// candidatesOf returns the addresses of a node's server for the helpers to probe. For a node
// that is down, only that of its machine is left.
func (r *run) candidatesOf(n *node) []candidates.Candidate {
	var l candidates.List
	if n.server != nil {
		l.AddName(report.KindContainerName, r.taskName(n.server), r.request.Port, "the container's name on the overlay network")
		l.Add(report.KindContainerIP, r.overlayIP(n.server), r.request.Port, "the container's address on the overlay network")
	}
	if address, err := netip.ParseAddr(n.address); err == nil && (n.server != nil || n.Status.State != swarm.NodeStateReady) {
		l.Add(report.KindPublishedEngineHost, address, r.port, "the node's address, where its server is published")
	}
	return l.Candidates
}

// taskName is the name of the container of a global service's task, which Docker's
// resolver knows on each of its networks, also on other nodes (measured on 26.1).
func (r *run) taskName(t *swarm.Task) string {
	return r.services[t.ServiceID] + "." + t.NodeID + "." + t.ID
}

func (r *run) overlayIP(t *swarm.Task) netip.Addr {
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

// logLimit bounds the reading of one helper's log. The manager gets it from the node, and
// waits forever for a node that has just gone down.
const logLimit = 5 * time.Second

// maxLog bounds, in bytes, what is read of a helper's log: an engine must not fill the memory.
const maxLog = 16 << 20

// readResults reads the results of all helpers. A log that cannot be read is a helperError
// of its node.
func (r *run) readResults(ctx context.Context, finished map[*node]*swarm.Task) error {
	var logs sync.WaitGroup
	for n, t := range finished {
		logs.Go(func() { n.results, n.helperError = r.readLog(ctx, t) })
	}
	logs.Wait()
	return context.Cause(ctx)
}

// readLog returns the results in a helper's log, or why there are none.
func (r *run) readLog(ctx context.Context, t *swarm.Task) (results []NodeResult, helperError string) {
	reading, cancel := context.WithTimeout(ctx, logLimit)
	defer cancel()
	logs, err := r.options.Manager.TaskLogs(reading, t.ID, container.LogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return nil, "the log of its helper cannot be read: " + err.Error()
	}
	defer func() { _ = logs.Close() }()
	var output bytes.Buffer
	// After an error some results are missing.
	_ = bounds.Demultiplex(&output, io.Discard, io.LimitReader(logs, maxLog))
	results = parseResults(&output)
	switch want := r.sent.targets(); {
	case len(results) == want:
		return results, ""
	case t.Status.State != swarm.TaskStateComplete:
		return nil, taskError(t)
	default:
		return nil, fmt.Sprintf("the log of its helper has %d of %d results", len(results), want)
	}
}

// parseResults reads a log with one result on each line. It skips other lines.
func parseResults(from io.Reader) []NodeResult {
	var results []NodeResult
	for lines := bufio.NewScanner(from); lines.Scan(); {
		var result NodeResult
		if json.Unmarshal(lines.Bytes(), &result) == nil {
			results = append(results, result)
		}
	}
	return results
}

// targets is the number of addresses to probe, and so of results.
func (w NodeWork) targets() int {
	n := 0
	for _, race := range w.Races {
		n += len(race.Attempts)
	}
	return n
}
