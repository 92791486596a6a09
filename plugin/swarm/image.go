package swarm

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/platforms"
	"github.com/docker/docker/api/types/swarm"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// nodeImage is the agent image for the nodes of one platform.
type nodeImage struct {
	platform swarm.Platform
	tag      string
	// ref is the image of the tasks. It is the image's id if all nodes whose engine was
	// reached have the same, because then no node looks for the image in a registry.
	// Otherwise it is the tag.
	ref string
}

// ensureImages puts the image on the manager and on the nodes that a context leads to, and
// chooses the reference for each platform.
func (r *run) ensureImages(ctx context.Context) error {
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
		if err := r.chooseImage(platform); err != nil {
			n.serverError, n.helperError = err.Error(), err.Error()
		}
	}
	return ctx.Err()
}

// reachNodes connects to the engines of the other nodes, also of nodes that are not ready:
// if such an engine answers, only the network between the nodes is cut.
func (r *run) reachNodes(ctx context.Context) {
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

// chooseImage chooses the image for the nodes of a platform.
func (r *run) chooseImage(platform swarm.Platform) error {
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
