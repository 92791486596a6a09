// Package agentimage puts the agent on an engine as an image. The program that calls
// it brings the agent's binaries (see package agents), so no image is pulled:
// [EnsureNear] looks for an image whose tag is the digest of its content, and loads it
// if it is missing. Callers create containers from that image. Tests use [Archive] for
// small images.
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
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// EngineOSUnsupported is the cause of an engine that no agent can run on. Package
// diagnosis explains it.
const EngineOSUnsupported report.Cause = "engine-os-unsupported"

const (
	// Repository is the name of the agent's images. The tag is the digest.
	Repository = "nestprobe-agent"

	// Label marks an image as an agent. Its value is the image's tag. Images that
	// are built from an agent inherit it.
	Label = "io.nestprobe.agent"
)

// ErrNoAgent means that the plugin was built without agents, by `go build` on a fresh
// clone.
var ErrNoAgent = errors.New("this docker-nestprobe was built without its agent: " +
	"build it with `make build`, which puts the agent inside, or name an IMAGE to start instead")

// API is what EnsureNear needs of [client.APIClient].
type API interface {
	ImageInspect(ctx context.Context, ref string, opts ...client.ImageInspectOption) (image.InspectResponse, error)
	ImageList(ctx context.Context, options image.ListOptions) ([]image.Summary, error)
	ImageLoad(ctx context.Context, archive io.Reader, opts ...client.ImageLoadOption) (image.LoadResponse, error)
	ImageRemove(ctx context.Context, ref string, options image.RemoveOptions) ([]image.DeleteResponse, error)
}

// Binaries are the agents' programs. ReadFile takes a name of [FileName]; with
// [DigestExtension] after it, the answer is the digest of that program's image.
// The error is [fs.ErrNotExist] for a program that there is not, and for a digest that is
// not known: then the program is read and hashed, which takes about 7 ms.
type Binaries interface {
	ReadFile(name string) ([]byte, error)
}

// Reference returns the reference of the agent image for an engine's OS and CPU:
// "nestprobe-agent:" and a digest of 32 hexadecimal digits. The digest covers the
// image's configuration and the binary from binaries. The CPU may have the name that
// /version gives it ("amd64") or that of /info ("x86_64"). Reference sends no request to
// the engine.
//
// Errors: a [*report.Fault] engine-os-unsupported, and [ErrNoAgent].
func Reference(binaries Binaries, os, arch string) (string, error) {
	return newStore(binaries).reference(os, arch)
}

// EnsureNear makes sure that the engine behind api has the agent image for its OS and
// CPU, and returns the reference to create containers from. After a load, it removes
// the agents of other versions, except for those that have containers.
//
// Most engines run on a machine like this one and have the image already, which one
// inspect of 1 ms shows. EnsureNear calls platform only if that image is missing:
// /version takes 1 to 5 ms on Docker and 300 ms on Podman 4.3, which reads its own
// version from the system's packages.
//
// Several plugins may call EnsureNear on one engine at the same time. A plugin of
// another version can remove the image between EnsureNear and the first container. A
// caller whose create request fails with "not found" calls EnsureNear again.
//
// Errors: those of Reference, those of platform, unwrapped, and the engine's, wrapped.
func EnsureNear(ctx context.Context, api API, binaries Binaries, platform func(context.Context) (os, arch string, err error)) (ref string, err error) {
	s := newStore(binaries)
	near, found, err := s.find(ctx, api, "linux", runtime.GOARCH)
	if found {
		return near.Tag, nil
	}
	if err != nil && !errors.As(err, new(*report.Fault)) {
		return "", err
	}
	os, arch, err := platform(ctx)
	if err != nil {
		return "", err
	}
	ref, _, err = s.ensure(ctx, api, os, arch)
	return ref, err
}

// store has the agents' binaries, nestprobe-agent-OS-ARCH, and the names of their
// images on an engine.
type store struct {
	files      Binaries
	repository string
	label      string
}

func newStore(binaries Binaries) store {
	return store{files: binaries, repository: Repository, label: Label}
}

func (s store) reference(os, arch string) (string, error) {
	archive, err := s.describe(os, arch)
	return archive.Tag, err
}

// binaryName is the name of the agent's file in the image. In the folder, the platform
// follows it.
const binaryName = "nestprobe-agent"

// FileName is the name of the agent's file for a GOOS and GOARCH.
func FileName(os, arch string) string {
	return fmt.Sprintf("%s-%s-%s", binaryName, os, arch)
}

// DigestExtension is the extension of the file with the digest of an agent's image.
const DigestExtension = ".digest"

// Digest returns the digest of the image with a binary for a GOOS and GOARCH.
func Digest(binary []byte, os, arch string) (string, error) {
	return imageOf(os, arch).contentDigest(binary)
}

// imageOf is the image for a platform, without a tag and without the binary.
func imageOf(os, arch string) Archive {
	return Archive{
		BinaryName:   binaryName,
		OS:           os,
		Arch:         arch,
		User:         "65534:65534", // the user nobody as a number, because there is no /etc/passwd
		ExposedPorts: []string{"4647/tcp"},
	}
}

// describe returns the image for a platform, with its tag but without the binary,
// which only a load needs.
func (s store) describe(os, arch string) (Archive, error) {
	platform, err := supported(os, arch)
	if err != nil {
		return Archive{}, err
	}
	image := imageOf(platform.OS, platform.Architecture)
	digest, err := s.digest(image)
	if err != nil {
		return Archive{}, err
	}
	image.Tag = s.repository + ":" + digest
	image.Labels = map[string]string{s.label: digest}
	return image, nil
}

// digest returns the digest of an image: that which was written when the binary was built,
// or else that of the binary itself.
func (s store) digest(image Archive) (string, error) {
	known, err := s.files.ReadFile(FileName(image.OS, image.Arch) + DigestExtension)
	if err == nil {
		return strings.TrimSpace(string(known)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the agent: %w", err)
	}
	binary, err := s.binary(image)
	if err != nil {
		return "", err
	}
	return image.contentDigest(binary)
}

func (s store) binary(image Archive) ([]byte, error) {
	binary, err := s.files.ReadFile(FileName(image.OS, image.Arch))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoAgent
	}
	if err != nil {
		return nil, fmt.Errorf("reading the agent: %w", err)
	}
	return binary, nil
}

// errOtherAgent means that the digest that the build wrote is that of another binary, or of
// another version of this package.
var errOtherAgent = errors.New("the agent in this docker-nestprobe is not the one whose digest it was built with: build it again with `make build`")

// complete adds the binary to a described image. It checks the digest, because every
// plugin with this agent takes an image with the digest for its own.
func (s store) complete(image Archive) (Archive, error) {
	binary, err := s.binary(image)
	if err != nil {
		return Archive{}, err
	}
	digest, err := Digest(binary, image.OS, image.Arch)
	if err != nil {
		return Archive{}, err
	}
	if image.Labels[s.label] != digest {
		return Archive{}, errOtherAgent
	}
	image.Binary = binary
	return image, nil
}

// Platforms are the platforms that `make build` builds agents for.
func Platforms() []string { return []string{"linux/amd64", "linux/arm64"} }

func supported(os, arch string) (ocispec.Platform, error) {
	platform := platforms.Normalize(ocispec.Platform{OS: os, Architecture: arch})
	name := platform.OS + "/" + platform.Architecture
	if slices.Contains(Platforms(), name) {
		return platform, nil
	}
	known := strings.Join(Platforms(), " and ")
	fault := &report.Fault{
		Cause:    EngineOSUnsupported,
		Evidence: []string{"the engine runs containers of " + name, "there are agents for " + known},
		Err:      fmt.Errorf("the engine runs containers of %s, and nestprobe has agents only for %s", name, known),
		Hint:     "select another engine with --context, or name an IMAGE of that platform to start instead",
	}
	if platform.OS == "windows" {
		fault.Err = errors.New("the engine runs Windows containers, and nestprobe's agent runs only in Linux containers (" + known + ")")
		fault.Hint = "switch Docker Desktop to Linux containers, or select another engine with --context"
		fault.Commands = []string{`& "$Env:ProgramFiles\Docker\Docker\DockerCli.exe" -SwitchLinuxEngine`}
	}
	return ocispec.Platform{}, fault
}
