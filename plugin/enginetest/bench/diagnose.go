package main

import (
	"context"
	"errors"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/go-connections/nat"
	"golang.org/x/sync/errgroup"
)

// compareDiagnose measures the diagnosis of a server that is well and of one whose
// published port nothing listens on, against the helpers that both take: one on the
// default bridge, and the witness in the server's own namespace.
func compareDiagnose(ctx context.Context, floor []string, known target, pairs int) (err error) {
	api, err := known.open()
	if err != nil {
		return err
	}
	defer func() { _ = api.Close() }()
	healthy, err := startContainer(ctx, api, known.image, container.HostConfig{PortBindings: nat.PortMap{port: {{}}}})
	defer func() { err = errors.Join(err, remove(ctx, api, healthy)) }()
	if err != nil {
		return err
	}
	faulty, err := startContainer(ctx, api, known.image, container.HostConfig{PortBindings: nat.PortMap{"8080/tcp": {{}}}})
	defer func() { err = errors.Join(err, remove(ctx, api, faulty)) }()
	if err != nil {
		return err
	}
	return printAll(ctx, []comparison{
		{"diagnose, healthy / bare helpers", []string{"docker", "nestprobe", "diagnose", healthy}, append(floor, "-helpers", "bridge,container:"+healthy), pairs, false},
		{"diagnose, a fault / bare helpers", []string{"docker", "nestprobe", "diagnose", faulty}, append(floor, "-helpers", "bridge,container:"+faulty), pairs, true},
	})
}

func remove(ctx context.Context, api *client.Client, id string) error {
	if id == "" {
		return nil
	}
	return api.ContainerRemove(context.WithoutCancel(ctx), id, container.RemoveOptions{Force: true})
}

// bareHelpers creates, starts and removes containers in the place of helpers, all
// of them in parallel.
func bareHelpers(ctx context.Context, known target, modes []string) error {
	api, err := known.open()
	if err != nil {
		return err
	}
	defer func() { _ = api.Close() }()
	group, ctx := errgroup.WithContext(ctx)
	for _, mode := range modes {
		group.Go(func() error {
			return withContainer(ctx, api, known.image, container.HostConfig{NetworkMode: container.NetworkMode(mode)}, func(string) error { return nil })
		})
	}
	return group.Wait()
}
