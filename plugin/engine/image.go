package engine

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
type Image struct {
	Ref      string
	Platform *ocispec.Platform // nil: the engine's own
	Pull     PullPolicy
}

// ensure makes the image available on the engine.
func (i Image) Ensure(ctx context.Context, engine Engine, progress Progress) (image.InspectResponse, error) {
	api := engine.API
	if _, err := reference.ParseAnyReference(i.Ref); err != nil {
		return image.InspectResponse{}, i.unavailable(err, "give it as NAME[:TAG], or its id")
	}
	if found, ok, err := i.Find(ctx, api); ok || err != nil {
		return found, err
	}
	if i.Pull == PullNever {
		return image.InspectResponse{}, i.unavailable(errors.New("it is not on the engine, and --pull never forbids to pull it"), pullHint)
	}
	auth, err := engine.RequestRegistryAuth(ctx, i.Ref)
	if ctx.Err() != nil { // which may have ended the program that was asked
		return image.InspectResponse{}, context.Cause(ctx)
	}
	if err != nil {
		return image.InspectResponse{}, i.unavailable(fmt.Errorf("reading the credentials to pull it with: %w", err),
			"check its name, and credsStore and credHelpers in docker's config.json, or load the image first")
	}
	err = i.fetch(ctx, api, auth, progress)
	if err != nil && !IsEngineAnswer(err) {
		return image.InspectResponse{}, fmt.Errorf("pulling image %s: %w", i.Ref, err)
	}
	if err != nil {
		return image.InspectResponse{}, i.unavailable(err, pullHint)
	}
	found, err := api.ImageInspect(ctx, i.Ref)
	if err != nil {
		return found, fmt.Errorf("inspecting image %s: %w", i.Ref, err)
	}
	return found, nil
}

// find looks for the image on the engine, unless it is to be pulled whether it is there
// or not.
func (i Image) Find(ctx context.Context, api API) (found image.InspectResponse, ok bool, err error) {
	if i.Pull == PullAlways {
		return found, false, nil
	}
	found, err = api.ImageInspect(ctx, i.Ref)
	if errdefs.IsNotFound(err) {
		return found, false, nil
	}
	if err != nil {
		return found, false, fmt.Errorf("inspecting image %s: %w", i.Ref, err)
	}
	return found, isFor(found, i.Platform), nil
}

func (i Image) fetch(ctx context.Context, api API, auth string, progress Progress) error {
	options := image.PullOptions{RegistryAuth: auth}
	if i.Platform != nil {
		options.Platform = platforms.Format(*i.Platform)
	}
	stream, err := api.ImagePull(ctx, i.Ref, options)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	return progress.Pull(stream)
}

const pullHint = "check the name and tag, log in with docker login if the registry wants it, or load the image first"

// unavailable is an image that is not to be had, and why.
func (i Image) unavailable(err error, hint string) error {
	return &report.Fault{
		Cause:    diagnosis.ImageUnavailable,
		Evidence: []string{err.Error()},
		Hint:     hint,
		Err:      fmt.Errorf("image %s: %w", i.Ref, err),
	}
}

// engineSaid says whether an error is what the engine has answered, by its status or
// in the stream of a pull, rather than the loss of the engine or the end of ctx.
func IsEngineAnswer(err error) bool {
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
