package client

import (
	"context"
	"errors"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// fakeNested is an engine that is interrupted when it has just started a container. A
// test cannot time that with a real engine.
type fakeNested struct {
	engine.API
	interrupt func()
}

func (fakeNested) ImageInspect(context.Context, string, ...client.ImageInspectOption) (image.InspectResponse, error) {
	return image.InspectResponse{}, nil
}

func (fakeNested) ContainerCreate(context.Context, *container.Config, *container.HostConfig, *network.NetworkingConfig, *ocispec.Platform, string) (container.CreateResponse, error) {
	return container.CreateResponse{}, nil
}

func (fakeNested) ContainerWait(context.Context, string, container.WaitCondition) (<-chan container.WaitResponse, <-chan error) {
	errs := make(chan error, 1)
	errs <- context.Canceled
	return nil, errs
}

func (f fakeNested) ContainerStart(context.Context, string, container.StartOptions) error {
	f.interrupt()
	return nil
}

func TestInterruptOfNestedEngine(t *testing.T) {
	t.Parallel()
	interrupted := errors.New("interrupted")
	ctx, interrupt := context.WithCancelCause(t.Context())
	r := &run{
		engine:  engine.Engine{API: fakeNested{interrupt: func() { interrupt(interrupted) }}},
		options: Options{DindImage: "docker:dind", Progress: noSteps{}},
	}
	_, err := (&nestedEngine{run: r}).measure(ctx, nil)
	assert.Check(t, is.ErrorIs(err, interrupted))
}

type noSteps struct{ engine.Progress }

func (noSteps) Step(string) func() { return func() {} }
