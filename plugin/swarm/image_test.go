package swarm

import (
	"errors"
	"testing"

	"github.com/docker/docker/api/types/swarm"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// Tasks use an image by its id if all nodes that were reached have the same.
func TestImageOfNodes(t *testing.T) {
	t.Parallel()
	amd := swarm.Platform{OS: "linux", Architecture: "x86_64"}
	arm := swarm.Platform{OS: "linux", Architecture: "aarch64"}
	on := func(platform swarm.Platform, image string) *node {
		return &node{Node: swarm.Node{Description: swarm.NodeDescription{Platform: platform}}, reached: ReachedNode{Image: image}}
	}
	r := &run{
		nodes: []*node{on(amd, "sha256:1"), on(amd, ""), on(amd, "sha256:1"), on(arm, "")},
		options: Options{AgentReference: func(os, arch string) (string, error) {
			if os != "linux" {
				return "", errors.New("no agent")
			}
			return "agent:" + arch, nil
		}},
	}
	assert.NilError(t, r.chooseImage(amd))
	assert.NilError(t, r.chooseImage(arm))
	assert.Error(t, r.chooseImage(swarm.Platform{OS: "windows", Architecture: "x86_64"}), "no agent")
	r.nodes[1].reached.Image = "sha256:2" // another image store
	assert.NilError(t, r.chooseImage(amd))
	assert.Check(t, is.DeepEqual([]string{r.images[0].ref, r.images[1].ref, r.images[2].ref}, []string{"sha256:1", "agent:arm64", "agent:amd64"}))
}
