package keep

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

// linuxRecipe is the machine's own engine: nothing is started, and whatever
// tests made on it is removed.
func linuxRecipe() recipe {
	return recipe{kind: Linux, reach: reachBeside(), programs: []string{"docker"}, start: startMachine}
}

func startMachine(ctx context.Context, r *running) error {
	api, err := client.NewClientWithOpts(client.WithAPIVersionNegotiation())
	if err != nil {
		return fmt.Errorf("making a client of the machine's engine: %w", err)
	}
	version, err := api.ServerVersion(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("reaching the machine's engine: %w: is Docker running?", err), api.Close())
	}
	r.Version = version.Version
	r.Socket = trimUnix(client.DefaultDockerHost)
	r.onStop(func(ctx context.Context) error {
		return errors.Join(removeLabelled(ctx, api), api.Close())
	})
	return removeLabelled(ctx, api) // of a keeper that was killed
}

func trimUnix(host string) string { return host[len("unix://"):] }

// removeLabelled removes the containers and then the images that carry Label.
func removeLabelled(ctx context.Context, api *client.Client) error {
	labelled := filters.NewArgs(filters.Arg("label", Label))
	containers, err := api.ContainerList(ctx, container.ListOptions{All: true, Filters: labelled})
	if err != nil {
		return fmt.Errorf("listing the tests' containers: %w", err)
	}
	var errs []error
	for _, c := range containers {
		errs = append(errs, api.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}))
	}
	images, err := api.ImageList(ctx, image.ListOptions{Filters: labelled})
	if err != nil {
		return fmt.Errorf("listing the tests' images: %w", err)
	}
	for _, i := range images {
		_, err := api.ImageRemove(ctx, i.ID, image.RemoveOptions{Force: true, PruneChildren: true})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
