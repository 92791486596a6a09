package connection

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/system"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Description is what an engine reports of itself.
type Description struct {
	Endpoint    report.Endpoint `json:"endpoint"`
	NodeAddress string          `json:"nodeAddress"` // its IP address among its Swarm's nodes; empty outside of a Swarm
}

// Platform is the OS and the CPU of the engine's containers by Go's names, such as
// "linux" and "arm64". It takes one request of /version, about 1 ms on a local
// engine, which [Connection.Describe] does not repeat. Errors are those of
// [Connection.Explain].
func (c *Connection) Platform(ctx context.Context) (os, arch string, err error) {
	version, err := c.serverVersion(ctx)
	if err != nil {
		return "", "", c.Explain(ctx, err)
	}
	return version.Os, goArch(version.Arch), nil
}

// Describe requests /version and /info of the engine in parallel. /info is the
// slower one, 5 to 20 ms, so call Describe in parallel with other work. It is safe
// for use by several goroutines. On an error the result holds what is known.
func (c *Connection) Describe(ctx context.Context) (Description, error) {
	var (
		version types.Version
		info    system.Info
		calls   errgroup.Group // without a shared context: one answer is useful without the other
	)
	calls.Go(func() (err error) {
		version, err = c.serverVersion(ctx)
		return err
	})
	calls.Go(func() (err error) {
		info, err = c.API.Info(ctx)
		return err
	})
	err := c.Explain(ctx, calls.Wait())
	return Description{Endpoint: c.settings.describe(version, info), NodeAddress: nodeAddress(info)}, err
}

// nodeAddress is the engine's address in its Swarm; empty if that is no IP address.
func nodeAddress(info system.Info) string {
	address, err := netip.ParseAddr(info.Swarm.NodeAddr)
	if err != nil {
		return ""
	}
	return address.String()
}

// serverVersion returns the engine's answer to /version, and sends the request if there
// is none yet. It does not keep an error: the next caller sends the request again.
func (c *Connection) serverVersion(ctx context.Context) (types.Version, error) {
	var known *types.Version
	select {
	case known = <-c.version: // empty while another goroutine sends the request
	case <-ctx.Done():
		return types.Version{}, ctx.Err()
	}
	defer func() { c.version <- known }()
	if known != nil {
		return *known, nil
	}
	version, err := c.API.ServerVersion(ctx)
	if err == nil {
		known = &version
	}
	return version, err
}

// describe is the endpoint with its engine, as the Report has it.
func (s Settings) describe(version types.Version, info system.Info) report.Endpoint {
	desktop := info.OperatingSystem == "Docker Desktop"
	return report.Endpoint{
		Context:   s.Context,
		Host:      s.Host,
		Transport: string(s.Transport),
		TLS:       s.TLS,
		Engine: report.Engine{
			Product:    sentence.Visible(product(version, desktop)),
			Version:    sentence.Visible(version.Version),
			APIVersion: sentence.Visible(version.APIVersion),
			OS:         sentence.Visible(version.Os),
			Arch:       sentence.Visible(goArch(cmp.Or(version.Arch, info.Architecture))),
			Rootless:   isRootless(info.SecurityOptions),
			Desktop:    desktop,
		},
	}
}

// product is the name of the engine. Podman has its name in the first component,
// where dockerd has "Engine". A vendor's build of dockerd has it in the platform.
func product(version types.Version, desktop bool) string {
	if desktop {
		return "Docker Desktop"
	}
	if len(version.Components) > 0 && version.Components[0].Name != "Engine" {
		return version.Components[0].Name
	}
	if version.Version == "" {
		return "" // it did not answer
	}
	if name, _, _ := strings.Cut(version.Platform.Name, " - "); name != "" {
		return name
	}
	return "Docker Engine"
}

// goArch is Go's name of an architecture. An engine's /info has the kernel's name.
func goArch(architecture string) string {
	switch architecture {
	case "i686":
		return "386"
	case "armv6l", "armv7l":
		return "arm"
	}
	return platforms.Normalize(ocispec.Platform{Architecture: architecture}).Architecture
}

// isRootless looks for the option that a rootless dockerd and a rootless Podman
// both list.
func isRootless(options []string) bool {
	return slices.ContainsFunc(options, func(option string) bool {
		name, _, _ := strings.Cut(option, ",")
		return name == "name=rootless"
	})
}
