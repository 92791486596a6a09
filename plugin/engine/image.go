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
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/refusal"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// PullPolicy says when the user's image is pulled.
type PullPolicy string

// The pull policies of docker run.
const (
	PullMissing PullPolicy = "missing"
	PullAlways  PullPolicy = "always"
	PullNever   PullPolicy = "never"
)

// Image is an image of the user, and when to pull it.
type Image struct {
	Ref      string
	Platform *ocispec.Platform // nil for the engine's own
	Pull     PullPolicy
}

// Ensure makes the image available on the engine. The error is a Fault with the cause
// image-unavailable if the image cannot be had; it is another error if the engine was
// lost or ctx has ended.
func (i Image) Ensure(ctx context.Context, engine Engine, progress Progress) (image.InspectResponse, error) {
	api := engine.API
	if _, err := reference.ParseAnyReference(i.Ref); err != nil {
		return image.InspectResponse{}, i.unavailable(err, "give it as NAME[:TAG], or its id")
	}
	if found, ok, err := i.Find(ctx, api); ok || err != nil {
		return found, err
	}
	if i.Pull == PullNever {
		fault := i.unavailable(errors.New("it is not on the engine, and pulling it is forbidden"),
			"check the name and tag, load the image first, or allow the pull")
		fault.Err = &report.SettingError{Setting: report.SettingPull, Err: fault.Err}
		return image.InspectResponse{}, fault
	}
	auth, err := engine.RequestRegistryAuth(ctx, i.Ref)
	if ctx.Err() != nil { // which may have ended the credential helper
		return image.InspectResponse{}, context.Cause(ctx)
	}
	if err != nil {
		return image.InspectResponse{}, i.unavailable(fmt.Errorf("reading the credentials for the pull: %w", err),
			"check its name, and credsStore and credHelpers in docker's config.json, or load the image first")
	}
	err = i.pull(ctx, api, auth, progress)
	if err != nil && !IsEngineAnswer(err) {
		return image.InspectResponse{}, fmt.Errorf("pulling image %s: %w", i.Ref, err)
	}
	if err != nil {
		return image.InspectResponse{}, i.unavailable(err,
			"check the name and tag, log in with docker login if the registry requires it, or load the image first")
	}
	found, err := api.ImageInspect(ctx, i.Ref)
	if err != nil {
		return found, fmt.Errorf("inspecting image %s: %w", i.Ref, err)
	}
	return found, nil
}

// Find looks for the image on the engine. It is false for an image that is always pulled,
// or is there for another platform.
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

func (i Image) pull(ctx context.Context, api API, auth string, progress Progress) error {
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

// unavailable returns the Fault of an image that cannot be had, and why.
func (i Image) unavailable(err error, hint string) *report.Fault {
	return &report.Fault{
		Cause:    diagnosis.ImageUnavailable,
		Evidence: []string{err.Error()},
		Hint:     hint,
		Err:      fmt.Errorf("image %s: %w", i.Ref, err),
	}
}

// IsEngineAnswer says whether an error is an answer of the engine, by its status or in
// the stream of a pull, rather than the loss of the engine or the end of ctx.
func IsEngineAnswer(err error) bool {
	if refusal.Is(err) {
		return false
	}
	if errors.As(err, new(*jsonmessage.JSONError)) {
		return true
	}
	statuses := []func(error) bool{
		errdefs.IsInvalidArgument, errdefs.IsUnauthorized, errdefs.IsPermissionDenied, errdefs.IsNotFound, errdefs.IsConflict,
		errdefs.IsResourceExhausted, errdefs.IsInternal, errdefs.IsNotImplemented, errdefs.IsUnavailable,
	}
	return slices.ContainsFunc(statuses, func(is func(error) bool) bool { return is(err) })
}

// isFor says whether an image on the engine is made for a platform; nil stands for any.
func isFor(found image.InspectResponse, platform *ocispec.Platform) bool {
	if platform == nil {
		return true
	}
	return platforms.OnlyStrict(*platform).Match(ocispec.Platform{
		OS: found.Os, Architecture: found.Architecture, Variant: found.Variant,
	})
}
