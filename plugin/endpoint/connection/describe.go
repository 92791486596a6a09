package connection

import (
	"cmp"
	"context"
	"net/netip"
	"runtime"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/system"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/bounds"
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
// engine, which [Connection.Describe] does not repeat; of /info, if that is not to be had;
// and without both, the CPU is taken to be that of this machine. Errors are those of
// [Connection.Explain].
func (c *Connection) Platform(ctx context.Context) (os, arch string, err error) {
	version, err := c.serverVersion(ctx)
	if err != nil {
		return "", "", c.Explain(ctx, err)
	}
	if version.Os != "" {
		return version.Os, goArch(version.Arch), nil
	}
	info, err := c.serverInfo(ctx)
	if err != nil {
		return "", "", c.Explain(ctx, err)
	}
	if info.Architecture != "" {
		return info.OSType, goArch(info.Architecture), nil
	}
	c.Omitted.assume("the engine's CPU is taken to be that of this machine, " + runtime.GOARCH)
	return cmp.Or(c.calls.engineHeaders().os, "linux"), runtime.GOARCH, nil
}

// Describe requests /version and /info of the engine in parallel. /info is the
// slower one, 5 to 20 ms, so call Describe in parallel with other work. It is safe
// for use by several goroutines. Both calls only add detail, see [Omitted]. On an error
// the result holds what is known.
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
		info, err = c.serverInfo(ctx)
		return err
	})
	err := c.Explain(ctx, calls.Wait())
	if err == nil && info.ID == "" && info.OSType == "" {
		c.Omitted.assume("the engine is taken to be neither rootless nor in a Swarm, which only /info says")
	}
	return Description{Endpoint: c.settings.describe(version, info, c.calls.engineHeaders()), NodeAddress: nodeAddress(info)}, err
}

// Describe is what an engine has said of itself to a client that is no [Connection].
func (s Settings) Describe(version types.Version, info system.Info) Description {
	return Description{Endpoint: s.describe(version, info, headers{}), NodeAddress: nodeAddress(info)}
}

// Product is the engine's name as the headers of its answers say it, such as Docker Engine;
// empty if they do not.
func (c *Connection) Product() string {
	name, _ := c.calls.engineHeaders().product()
	return name
}

// nodeAddress is the engine's address in its Swarm; empty if that is no IP address.
func nodeAddress(info system.Info) string {
	address, err := netip.ParseAddr(info.Swarm.NodeAddr)
	if err != nil {
		return ""
	}
	return address.String()
}

// serverVersion returns the engine's answer to /version; an empty one if it is not to be
// had and only adds detail.
func (c *Connection) serverVersion(ctx context.Context) (types.Version, error) {
	return detail(ctx, c, "GET /version", c.version, c.API.ServerVersion)
}

// serverInfo returns the engine's answer to /info as serverVersion does that to /version.
func (c *Connection) serverInfo(ctx context.Context) (system.Info, error) {
	return detail(ctx, c, "GET /info", c.info, func(ctx context.Context) (system.Info, error) {
		watching, failure := bounds.Watch(ctx)
		info, err := c.API.Info(watching)
		return info, failure(err)
	})
}

// detail returns the answer to a call that only adds detail, and sends the request if
// there was none yet. Known holds the answer or, as long as there is none, nil. An error that
// ends the command is not kept: the next caller sends the request again. A call that the
// command goes on without is not sent again, and its answer stays empty.
func detail[T any](ctx context.Context, c *Connection, call string, known chan *T, request func(context.Context) (T, error)) (T, error) {
	var answer *T
	select {
	case answer = <-known: // empty while another goroutine sends the request
	case <-ctx.Done():
		return *new(T), ctx.Err()
	}
	defer func() { known <- answer }()
	if answer != nil {
		return *answer, nil
	}
	got, err := request(ctx)
	if err != nil && !c.Omitted.Note(ctx, call, err) {
		return got, err
	}
	answer = &got
	return got, nil
}

// describe is the endpoint with its engine, as the Report has it.
func (s Settings) describe(version types.Version, info system.Info, said headers) report.Endpoint {
	// Without /info, the platform shows it: "Docker Desktop 4.30.0 (149282)".
	desktop := info.OperatingSystem == "Docker Desktop" || strings.HasPrefix(version.Platform.Name, "Docker Desktop ")
	name, number := said.product()
	return report.Endpoint{
		Context:   s.Context,
		Host:      s.Host,
		Transport: string(s.Transport),
		TLS:       s.TLS,
		Engine: report.Engine{
			Product:    sentence.Visible(cmp.Or(product(version, desktop), name)),
			Version:    sentence.Visible(cmp.Or(version.Version, number)),
			APIVersion: sentence.Visible(version.APIVersion),
			OS:         sentence.Visible(cmp.Or(version.Os, info.OSType, said.os)),
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
