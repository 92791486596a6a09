package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// fakeImages is an engine with one image. It is a fake because a plugin of another version
// would have to remove an image between two requests.
type fakeImages struct {
	API
	image   string
	created int
}

func (f *fakeImages) ContainerCreate(_ context.Context, config *container.Config, _ *container.HostConfig, _ *network.NetworkingConfig, _ *ocispec.Platform, _ string) (container.CreateResponse, error) {
	f.created++
	if config.Image != f.image {
		return container.CreateResponse{}, fmt.Errorf("no such image %s: %w", config.Image, errdefs.ErrNotFound)
	}
	return container.CreateResponse{ID: "77"}, nil
}

// An agent's image that is gone is loaded again, once. That of the user is not.
func TestAgentImageIsGone(t *testing.T) {
	t.Parallel()
	broken := errors.New("the engine takes no image")
	for name, test := range map[string]struct {
		image, loads string // that the engine has first, and that AgentImage loads
		loadErr      error
		binary       []byte
		want         error
		created      int
	}{
		"there":             {image: "agent:1", created: 1},
		"gone":              {loads: "agent:1", created: 2},
		"gone again":        {loads: "agent:2", want: errdefs.ErrNotFound, created: 2},
		"cannot be loaded":  {loadErr: broken, want: broken, created: 1},
		"image of the user": {loads: "agent:1", binary: []byte("agent"), want: errdefs.ErrNotFound, created: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := &fakeImages{image: test.image}
			engine := Engine{API: api, AgentImage: func(context.Context) (string, error) {
				api.image = test.loads
				return "agent:1", test.loadErr
			}}
			c := NewAgentContainer("helper", "agent:1", "probe", NewLabels("run", time.Now(), time.Minute, false))
			c.Binary = test.binary
			created, err := engine.createAgent(t.Context(), c)
			assert.Check(t, is.ErrorIs(err, test.want))
			assert.Check(t, (created.ID != "") == (test.want == nil))
			assert.Check(t, is.Equal(api.created, test.created))
		})
	}
}
