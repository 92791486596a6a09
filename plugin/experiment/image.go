package experiment

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/pkg/jsonmessage"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// PullPolicy says when the user's image is pulled, in docker run's words.
type PullPolicy string

// The pull policies of docker run.
const (
	PullMissing PullPolicy = "missing"
	PullAlways  PullPolicy = "always"
	PullNever   PullPolicy = "never"
)

// userImage is an image of the user's, and how to get it.
type userImage struct {
	ref      string
	platform *ocispec.Platform // nil: the engine's own
	pull     PullPolicy
}

// ensure makes the image available on the engine.
func (i userImage) ensure(ctx context.Context, engine Engine, progress Progress) (image.InspectResponse, error) {
	api := engine.API
	if _, err := reference.ParseAnyReference(i.ref); err != nil {
		return image.InspectResponse{}, i.unavailable(err, "give it as NAME[:TAG], or its id")
	}
	if found, ok, err := i.find(ctx, api); ok || err != nil {
		return found, err
	}
	if i.pull == PullNever {
		return image.InspectResponse{}, i.unavailable(errors.New("it is not on the engine, and --pull never forbids to pull it"), pullHint)
	}
	auth, err := engine.registryAuth(ctx, i.ref)
	if ctx.Err() != nil { // which may have ended the program that was asked
		return image.InspectResponse{}, context.Cause(ctx)
	}
	if err != nil {
		return image.InspectResponse{}, i.unavailable(fmt.Errorf("reading the credentials to pull it with: %w", err),
			"check its name, and credsStore and credHelpers in docker's config.json, or load the image first")
	}
	err = i.fetch(ctx, api, auth, progress)
	if err != nil && !engineSaid(err) {
		return image.InspectResponse{}, fmt.Errorf("pulling image %s: %w", i.ref, err)
	}
	if err != nil {
		return image.InspectResponse{}, i.unavailable(err, pullHint)
	}
	found, err := api.ImageInspect(ctx, i.ref)
	if err != nil {
		return found, fmt.Errorf("inspecting image %s: %w", i.ref, err)
	}
	return found, nil
}

// find looks for the image on the engine, unless it is to be pulled whether it is there
// or not.
func (i userImage) find(ctx context.Context, api API) (found image.InspectResponse, ok bool, err error) {
	if i.pull == PullAlways {
		return found, false, nil
	}
	found, err = api.ImageInspect(ctx, i.ref)
	if errdefs.IsNotFound(err) {
		return found, false, nil
	}
	if err != nil {
		return found, false, fmt.Errorf("inspecting image %s: %w", i.ref, err)
	}
	return found, isFor(found, i.platform), nil
}

func (i userImage) fetch(ctx context.Context, api API, auth string, progress Progress) error {
	options := image.PullOptions{RegistryAuth: auth}
	if i.platform != nil {
		options.Platform = platforms.Format(*i.platform)
	}
	stream, err := api.ImagePull(ctx, i.ref, options)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	return progress.Pull(stream)
}

const pullHint = "check the name and tag, log in with docker login if the registry wants it, or load the image first"

// unavailable is an image that is not to be had, and why.
func (i userImage) unavailable(err error, hint string) error {
	return &report.Fault{
		Cause:    diagnosis.ImageUnavailable,
		Evidence: []string{err.Error()},
		Hint:     hint,
		Err:      fmt.Errorf("image %s: %w", i.ref, err),
	}
}

// engineSaid says whether an error is what the engine has answered, by its status or
// in the stream of a pull, rather than the loss of the engine or the end of ctx.
func engineSaid(err error) bool {
	if errors.As(err, new(*jsonmessage.JSONError)) {
		return true
	}
	statuses := []func(error) bool{
		errdefs.IsInvalidArgument, errdefs.IsUnauthorized, errdefs.IsPermissionDenied, errdefs.IsNotFound, errdefs.IsConflict,
		errdefs.IsResourceExhausted, errdefs.IsInternal, errdefs.IsNotImplemented, errdefs.IsUnavailable,
	}
	return slices.ContainsFunc(statuses, func(is func(error) bool) bool { return is(err) })
}

// isFor says whether an image on the engine is made for the wanted platform.
func isFor(found image.InspectResponse, wanted *ocispec.Platform) bool {
	if wanted == nil {
		return true
	}
	return platforms.OnlyStrict(*wanted).Match(ocispec.Platform{
		OS: found.Os, Architecture: found.Architecture, Variant: found.Variant,
	})
}
