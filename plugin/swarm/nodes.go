package swarm

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/containerd/platforms"
	"github.com/docker/docker/api/types/swarm"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// node is one node of the Swarm, and what became of it in this run.
type node struct {
	swarm.Node
	name    string // unique among the nodes
	address string
	ready   bool // it takes containers
	reached ReachedNode

	server     *swarm.Task            // that runs; nil if there is none
	absent     string                 // why there is no server
	lacking    bool                   // the image is not there
	candidates []experiment.Candidate // the addresses of its server that the helpers try
	silent     string                 // why the helper has told nothing
	results    []NodeResult           // what it has told
}

// wanted says whether the user wants containers on the node.
func (n *node) wanted() bool { return n.Spec.Availability == swarm.NodeAvailabilityActive }

func (n *node) vantage() string { return VantageNode + n.name }

// listNodes asks the manager for its nodes, by name.
func (r *nodesRun) listNodes(ctx context.Context) error {
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
			name += "." + n.ID // machines that were copied
		}
		made := &node{Node: n, name: name, address: r.addressOf(n), ready: takes(n)}
		if !made.ready {
			made.absent = "it is " + stateOf(n)
			made.silent = made.absent
		}
		r.nodes = append(r.nodes, made)
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

// takes says whether global services are started on a node.
func takes(n swarm.Node) bool {
	return n.Status.State == swarm.NodeStateReady && n.Spec.Availability == swarm.NodeAvailabilityActive
}

// stateOf is a node's state in a word: that of the machine, or else what the user
// has made of it.
func stateOf(n swarm.Node) string {
	if n.Status.State != swarm.NodeStateReady || n.Spec.Availability == swarm.NodeAvailabilityActive {
		return string(n.Status.State)
	}
	return map[swarm.NodeAvailability]string{
		swarm.NodeAvailabilityDrain: "drained",
		swarm.NodeAvailabilityPause: "paused",
	}[n.Spec.Availability]
}

// addressOf is a node's address among the nodes. What a manager is listed with may
// be 0.0.0.0 or a loopback address, so what it says of itself comes first.
func (r *nodesRun) addressOf(n swarm.Node) string {
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

// nodeImage is the agent image for the nodes of one platform, in the words of the
// nodes.
type nodeImage struct {
	platform swarm.Platform
	tag      string
	// ref is what containers are made from: the image's id, if it is known and
	// the same on all the nodes that it is known of, for then no node asks a
	// registry for it first; else the tag.
	ref string
}

// ensureImages puts the image on the manager, and on the nodes that a context leads
// to, and settles by which reference each platform's nodes know it.
func (r *nodesRun) ensureImages(ctx context.Context) error {
	tag, err := r.engine.AgentImage(ctx)
	if err != nil {
		return err
	}
	found, err := r.engine.API.ImageInspect(ctx, tag)
	if err != nil {
		return fmt.Errorf("inspecting the agent image: %w", err)
	}
	r.reachNodes(ctx)
	for _, n := range r.nodes {
		if n.ID == r.self.NodeID {
			n.reached.Image = found.ID
		}
	}
	for _, n := range r.nodes {
		platform := n.Description.Platform
		if !n.ready || slices.ContainsFunc(r.images, func(i nodeImage) bool { return i.platform == platform }) {
			continue
		}
		if err := r.addImage(platform); err != nil {
			n.absent, n.silent = err.Error(), err.Error()
		}
	}
	return ctx.Err()
}

// reachNodes looks for the engines of the other nodes. Those that are not ready
// are looked for too: that one answers says that it is the way to it that is cut.
func (r *nodesRun) reachNodes(ctx context.Context) {
	var others []string
	for _, n := range r.nodes {
		if n.ID != r.self.NodeID {
			others = append(others, n.ID)
		}
	}
	if len(others) == 0 || r.options.Reach == nil {
		return
	}
	reached := r.options.Reach(ctx, others)
	for _, n := range r.nodes {
		n.reached = reached[n.ID]
	}
}

func (r *nodesRun) addImage(platform swarm.Platform) error {
	tag, err := r.options.AgentReference(platform.OS, goArch(platform))
	if err != nil {
		return err
	}
	image := nodeImage{platform: platform, tag: tag, ref: tag}
	known := map[string]bool{}
	for _, n := range r.nodes {
		if n.Description.Platform == platform && n.reached.Image != "" {
			known[n.reached.Image] = true
			image.ref = n.reached.Image
		}
	}
	if len(known) > 1 {
		image.ref = tag
	}
	r.images = append(r.images, image)
	return nil
}

func goArch(p swarm.Platform) string {
	return platforms.Normalize(ocispec.Platform{OS: p.OS, Architecture: p.Architecture}).Architecture
}
