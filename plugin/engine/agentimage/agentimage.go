// Package agentimage puts the agent on an engine as an image. The agent's
// binaries come with the program that calls it (see the package agents), so
// nothing is ever pulled: [Ensure] looks for an image with the digest of the
// binary as its tag, and loads one when it is not there. It is called before a
// container is created from that image; [Archive] on its own also serves tests
// that need small images.
//
// It must not know what the agent does or how its containers are set up.
package agentimage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"

	"github.com/containerd/platforms"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// EngineOSUnsupported is the cause of an engine for which there is no agent. Package
// diagnosis has more to say about it.
const EngineOSUnsupported report.Cause = "engine-os-unsupported"

const (
	// Repository is the name of the agent's images; the tag is their digest.
	Repository = "nestprobe-agent"

	// Label marks an image as an agent; its value is the image's tag. Images
	// built from an agent inherit it.
	Label = "io.nestprobe.agent"
)

// ErrNoAgent says that the plugin was built without agents, as plain `go build`
// does on a fresh clone.
var ErrNoAgent = errors.New("this docker-nestprobe was built without its agent: " +
	"build it with `make build`, which puts the agent inside, or name an IMAGE to start instead")

// API is what Ensure needs of [client.APIClient].
type API interface {
	ImageInspect(ctx context.Context, ref string, opts ...client.ImageInspectOption) (image.InspectResponse, error)
	ImageList(ctx context.Context, options image.ListOptions) ([]image.Summary, error)
	ImageLoad(ctx context.Context, archive io.Reader, opts ...client.ImageLoadOption) (image.LoadResponse, error)
	ImageRemove(ctx context.Context, ref string, options image.RemoveOptions) ([]image.DeleteResponse, error)
}

// Reference returns the reference of the agent image for an engine's OS and
// CPU, made of the binary in binaries, "nestprobe-agent:" and 32 hexadecimal digits that stand for all that is
// in the image. The CPU may be given as either the engine's version ("amd64")
// or its info ("x86_64") names it. It takes the time of hashing one binary,
// 4 ms for 6.4 MB, and asks no engine.
//
// Errors: a [*report.Fault] engine-os-unsupported, and [ErrNoAgent].
func Reference(binaries fs.FS, os, arch string) (string, error) {
	return newStore(binaries).reference(os, arch)
}

// Find looks for the agent image for an OS and CPU on the engine behind api, by
// one inspect, and returns its reference if it is there.
func Find(ctx context.Context, api API, binaries fs.FS, os, arch string) (ref string, found bool, err error) {
	return newStore(binaries).find(ctx, api, os, arch)
}

// Ensure makes sure that the engine behind api has the agent image for its OS
// and CPU, and returns the reference to create containers from and whether the
// image had to be loaded. When it is there, that is one inspect. After a load,
// the agents of other versions are removed, except for those that a container
// was made from.
//
// Several plugins may do this at once. The image of a plugin can be removed
// between its Ensure and its first container by a plugin of another version:
// a caller whose create is answered with "not found" calls Ensure again.
//
// Errors: those of Reference; else the engine's, wrapped.
func Ensure(ctx context.Context, api API, binaries fs.FS, os, arch string) (ref string, loaded bool, err error) {
	return newStore(binaries).ensure(ctx, api, os, arch)
}

// EnsureNear is Ensure for an engine whose platform nobody knows yet. Most engines
// run on a machine like this one and have the image already, and to see that it is
// there takes one inspect, 1 ms. Only where it is not is the platform asked for,
// which takes 1 to 5 ms on Docker and 300 ms on Podman 4.3, which asks the system's
// packages for its own version.
//
// Errors: those of Ensure, and platform's as they are.
func EnsureNear(ctx context.Context, api API, binaries fs.FS, platform func(context.Context) (os, arch string, err error)) (ref string, err error) {
	ref, found, err := Find(ctx, api, binaries, "linux", runtime.GOARCH)
	if found {
		return ref, nil
	}
	if err != nil && !errors.As(err, new(*report.Fault)) {
		return "", err
	}
	os, arch, err := platform(ctx)
	if err != nil {
		return "", err
	}
	ref, _, err = Ensure(ctx, api, binaries, os, arch)
	return ref, err
}

// store is where the agents' binaries are, nestprobe-agent-OS-ARCH, and
// how their images are known on an engine.
type store struct {
	files      fs.FS
	repository string
	label      string
}

func newStore(binaries fs.FS) store {
	return store{files: binaries, repository: Repository, label: Label}
}

func (s store) reference(os, arch string) (string, error) {
	archive, err := s.describe(os, arch)
	return archive.Tag, err
}

// binaryName is the agent's file, in the image and, with the platform behind
// it, in the folder.
const binaryName = "nestprobe-agent"

// FileName is the name of the agent's file for a platform in Go's words.
func FileName(os, arch string) string {
	return fmt.Sprintf("%s-%s-%s", binaryName, os, arch)
}

func (s store) path(platform Archive) string {
	return FileName(platform.OS, platform.Arch)
}

// describe returns the image for a platform, named by its content but without
// the binary, which only a load needs.
func (s store) describe(os, arch string) (Archive, error) {
	platform, err := supported(os, arch)
	if err != nil {
		return Archive{}, err
	}
	image := Archive{
		BinaryName:   binaryName,
		OS:           platform.OS,
		Arch:         platform.Architecture,
		User:         "65534:65534", // nobody, by number: there is no /etc/passwd
		ExposedPorts: []string{"4647/tcp"},
	}
	file, err := s.files.Open(s.path(image))
	if errors.Is(err, fs.ErrNotExist) {
		return Archive{}, ErrNoAgent
	}
	if err != nil {
		return Archive{}, fmt.Errorf("reading the agent: %w", err)
	}
	digest, err := contentDigest(image, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return Archive{}, fmt.Errorf("reading the agent: %w", err)
	}
	image.Tag = s.repository + ":" + digest
	image.Labels = map[string]string{s.label: digest}
	return image, nil
}

// complete adds the binary to a described image.
func (s store) complete(image Archive) (Archive, error) {
	binary, err := fs.ReadFile(s.files, s.path(image))
	if err != nil {
		return Archive{}, fmt.Errorf("reading the agent: %w", err)
	}
	image.Binary = binary
	return image, nil
}

// agentPlatforms are the platforms that `make build` builds agents for.
func agentPlatforms() []string { return []string{"linux/amd64", "linux/arm64"} }

func supported(os, arch string) (ocispec.Platform, error) {
	platform := platforms.Normalize(ocispec.Platform{OS: os, Architecture: arch})
	name := platform.OS + "/" + platform.Architecture
	for _, candidate := range agentPlatforms() {
		if name == candidate {
			return platform, nil
		}
	}
	known := strings.Join(agentPlatforms(), " and ")
	fault := &report.Fault{
		Cause:    EngineOSUnsupported,
		Evidence: []string{"the engine runs containers of " + name, "there are agents for " + known},
		Err:      fmt.Errorf("the engine runs containers of %s, and nestprobe has agents for %s alone", name, known),
		Hint:     "select another engine with --context, or name an IMAGE of that platform to start instead",
	}
	if platform.OS == "windows" {
		fault.Err = errors.New("the engine runs Windows containers, and nestprobe's agent is a program for Linux ones (" + known + ")")
		fault.Hint = "switch Docker Desktop to Linux containers, or select another engine with --context"
		fault.Commands = []string{`& "$Env:ProgramFiles\Docker\Docker\DockerCli.exe" -SwitchLinuxEngine`}
	}
	return ocispec.Platform{}, fault
}
