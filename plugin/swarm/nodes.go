package swarm

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/docker/docker/api/types/swarm"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// node is one node of the Swarm, and its results in this run.
type node struct {
	swarm.Node
	name    string // unique among the nodes
	address string
	ready   bool // it accepted tasks when the run began
	reached ReachedNode

	server       *swarm.Task       // running; nil if there is none
	serverError  string            // why there is no server
	imageMissing bool              // the node does not have the image
	attempts     []probing.Attempt // at addresses of its server, by all helpers
	helperError  string            // why its helper has no results
	results      []NodeResult      // of its helper
}

// isActive says whether the user wants tasks on the node: it is not drained or paused.
func (n *node) isActive() bool { return n.Spec.Availability == swarm.NodeAvailabilityActive }

func (n *node) vantage() string { return VantageNode + n.name }

// listNodes lists the nodes of the Swarm, sorted by name.
func (r *run) listNodes(ctx context.Context) error {
	found, err := r.options.Manager.NodeList(ctx, swarm.NodeListOptions{})
	if err != nil {
		return fmt.Errorf("listing the nodes of the Swarm: %w", err)
	}
	names := map[string]int{}
	for _, n := range found {
		names[n.Description.Hostname]++
	}
	for _, n := range found {
		name := n.Description.Hostname
		if name == "" || names[name] > 1 {
			name += "." + n.ID // machines that were cloned have the same host name
		}
		listed := &node{Node: n, name: name, address: r.addressOf(n), ready: acceptsTasks(n)}
		if !listed.ready {
			listed.serverError = "it is " + stateOf(n)
			listed.helperError = listed.serverError
		}
		r.nodes = append(r.nodes, listed)
	}
	slices.SortFunc(r.nodes, func(a, b *node) int { return cmp.Compare(a.name, b.name) })
	for _, n := range r.nodes {
		r.report.Nodes = append(r.report.Nodes, report.Node{
			ID:      n.ID,
			Name:    n.name,
			Address: n.address,
			State:   stateOf(n.Node),
			Manager: n.Spec.Role == swarm.NodeRoleManager,
		})
	}
	return nil
}

// acceptsTasks says whether Swarm starts the tasks of global services on a node.
func acceptsTasks(n swarm.Node) bool {
	return n.Status.State == swarm.NodeStateReady && n.Spec.Availability == swarm.NodeAvailabilityActive
}

// stateOf is a node's state in one word: that of the machine unless it is ready, otherwise
// the availability that the user has set.
func stateOf(n swarm.Node) string {
	if n.Status.State != swarm.NodeStateReady || n.Spec.Availability == swarm.NodeAvailabilityActive {
		return string(n.Status.State)
	}
	return map[swarm.NodeAvailability]string{
		swarm.NodeAvailabilityDrain: "drained",
		swarm.NodeAvailabilityPause: "paused",
	}[n.Spec.Availability]
}

// addressOf is the address of a node for the other nodes. A manager may be listed with
// 0.0.0.0 or a loopback address, so the address from its own info comes first.
func (r *run) addressOf(n swarm.Node) string {
	candidates := []string{n.Status.Addr}
	if n.ID == r.self.NodeID {
		candidates = []string{r.self.NodeAddr, n.Status.Addr}
	}
	if n.ManagerStatus != nil {
		host, _, _ := net.SplitHostPort(n.ManagerStatus.Addr)
		candidates = append(candidates, host)
	}
	for _, candidate := range candidates {
		if ip, err := netip.ParseAddr(candidate); err == nil && !ip.IsUnspecified() && !ip.IsLoopback() {
			return ip.String()
		}
	}
	return ""
}
