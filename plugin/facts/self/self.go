// Package self finds out where this process is: on a machine, or in a container, of which
// engine, and with whose network. The commands of the plugin call it once, before they
// choose what to probe. It must not know of candidates, causes or reports.
//
// Files of the kernel and of engines say whether this may be a container, and the engine
// at the endpoint confirms it. Where nothing hints at a container, the engine is not
// called.
package self

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/proxy"
)

// API is the part of an engine's API that this package uses.
type API interface {
	facts.Inspector
	ContainerList(ctx context.Context, options container.ListOptions) ([]container.Summary, error)
	NetworkList(ctx context.Context, options network.ListOptions) ([]network.Summary, error)
}

// Endpoint is how this process reaches the engine.
type Endpoint struct {
	Socket string // path of a unix socket; empty for another endpoint
	Host   string // host of a tcp or ssh endpoint; empty for a local one, and for a loopback address
}

// At returns how settings reach an engine.
func At(settings connection.Settings) Endpoint {
	e := Endpoint{Host: settings.EngineHost()}
	if settings.Transport == connection.Unix {
		e.Socket = strings.TrimPrefix(settings.Host, string(connection.Unix)+"://")
	}
	return e
}

// Find returns the container that this process is in; nil if it is in none, or if the
// engine runs in the same network namespace. An error says which call the engine has not
// answered: the result is what is known without that. Networks that the engine does not
// let be inspected are added to omitted.
func Find(ctx context.Context, api API, endpoint Endpoint, omitted *connection.Omitted) (*facts.Self, error) {
	found, err := findBy(ctx, api, endpoint, omitted, readSigns())
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return found, err
}

func findBy(ctx context.Context, api API, endpoint Endpoint, omitted *connection.Omitted, s signs) (*facts.Self, error) {
	if !s.any() {
		return nil, nil
	}
	f := finder{API: api, signs: s, addresses: facts.OwnAddresses(), resolve: filepath.EvalSymlinks}
	client, err := f.find(ctx)
	if client != nil {
		if settings := proxy.FromEnvironment(os.Getenv); !settings.None() {
			client.Proxies = settings
		}
		return endpoint.from(ctx, api, client, omitted)
	}
	here, hereErr := endpoint.isHere(ctx, api)
	if here {
		return nil, nil
	}
	if err == nil {
		err = hereErr
	}
	return &facts.Self{ID: s.id(), Network: facts.OwnNetwork, Gateways: defaultGateways()}, err
}

// In returns the container with a name or ID as the one that a process is in, without a look at
// this process.
func In(ctx context.Context, api API, endpoint Endpoint, name string, omitted *connection.Omitted) (*facts.Self, error) {
	response, err := facts.InspectContainer(ctx, api, name)
	if err != nil {
		return nil, err
	}
	client, err := facts.ReadClientContainer(ctx, api, response)
	if err != nil {
		return nil, err
	}
	return endpoint.from(ctx, api, &client, omitted)
}

// from is the endpoint as a process in a container of the engine reaches it.
func (e Endpoint) from(ctx context.Context, api API, client *facts.ClientContainer, omitted *connection.Omitted) (found *facts.Self, err error) {
	found = &facts.Self{ID: client.Inspection.ID, Network: networkOf(client), Client: client}
	found.Endpoint, err = e.container(ctx, facts.NewNetworkCache(api, omitted), client.Container)
	return found, err
}

// container returns the name of the container on a client's networks to which the endpoint
// leads; empty if it leads to none. An error says which network could not be inspected.
func (e Endpoint) container(ctx context.Context, networks *facts.NetworkCache, client facts.Container) (string, error) {
	if e.Host == "" {
		return "", nil
	}
	client.Networks, client.ReportNetworks = slices.Clone(client.Networks), slices.Clone(client.ReportNetworks)
	if err := networks.Complete(ctx, &client); err != nil {
		return "", err
	}
	for _, ip := range addressesOf(ctx, e.Host) {
		for _, n := range client.Networks {
			if name := n.Members[ip]; name != "" {
				return name, nil
			}
		}
	}
	return "", nil
}

// lookupTime bounds the lookup of the endpoint's host. The engine has just been connected
// to, so a name server that knows the host has answered before; only ssh or a proxy may know
// it.
const lookupTime = time.Second

// addressesOf looks a host up. It returns none for a name that only ssh or a proxy knows.
func addressesOf(ctx context.Context, host string) []netip.Addr {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found
}

func networkOf(c *facts.ClientContainer) facts.SelfNetwork {
	switch {
	case c.HostNetwork:
		return facts.HostNetwork
	case c.NetworkOf != "":
		return facts.SharedNetwork
	default:
		return facts.OwnNetwork
	}
}

// finder finds the container of this process among those of an engine.
type finder struct {
	API
	signs

	addresses []netip.Addr                 // of this process's interfaces
	resolve   func(string) (string, error) // filepath.EvalSymlinks
}

// find returns the container whose ID is one of the signs', as far as the engine knows it;
// nil if it knows none. An error says which one it could not inspect.
func (f finder) find(ctx context.Context) (*facts.ClientContainer, error) {
	var failed error
	for _, id := range f.own {
		response, err := facts.InspectContainer(ctx, f, id)
		switch {
		case errdefs.IsNotFound(err):
		case err != nil:
			failed = err
		case f.fits(response):
			return f.client(ctx, response)
		}
	}
	for _, id := range f.network {
		if slices.Contains(f.own, id) {
			continue
		}
		response, err := facts.InspectContainer(ctx, f, id)
		switch {
		case errdefs.IsNotFound(err):
		case err != nil:
			failed = err
		default:
			if response, err = f.amongSharers(ctx, response); err != nil {
				return nil, err
			}
			return f.client(ctx, response)
		}
	}
	return nil, failed
}

// client returns what is known of the container; nil if this process has left its network
// namespace.
func (f finder) client(ctx context.Context, response container.InspectResponse) (*facts.ClientContainer, error) {
	found, err := facts.ReadClientContainer(ctx, f, response)
	if err != nil {
		return nil, err
	}
	if networkOf(&found) == facts.OwnNetwork && !f.hasAddressOf(found) {
		return nil, nil
	}
	return &found, nil
}

// hasAddressOf says whether one of a container's addresses is on an interface here. It is
// true for a container whose addresses the engine does not know.
func (f finder) hasAddressOf(c facts.ClientContainer) bool {
	known := false
	for _, n := range c.Networks {
		for _, ip := range []netip.Addr{n.IPv4, n.IPv6} {
			if slices.Contains(f.addresses, ip) {
				return true
			}
			known = known || ip.IsValid()
		}
	}
	return !known
}

// fits says whether the files that engines mount for a network are those of the container,
// or of the one whose network it shares. Other files are mounted if this process is in a
// container within the container.
func (f finder) fits(response container.InspectResponse) bool {
	return len(f.network) == 0 || slices.Contains(f.network, response.ID) || slices.Contains(f.network, facts.NamespaceOwner(response))
}

// maxSharers bounds how many containers are inspected that share a network. An inspect
// takes 1 ms.
const maxSharers = 20

// amongSharers returns the container of this process: the one whose network it uses, or
// one that shares it. Engines mount the same files for the network into all of them.
func (f finder) amongSharers(ctx context.Context, owner container.InspectResponse) (container.InspectResponse, error) {
	best, is := owner, f.isIn(owner)
	if is == certain {
		return owner, nil
	}
	all, err := f.ContainerList(ctx, container.ListOptions{})
	if err != nil {
		return owner, fmt.Errorf("listing containers: %w", err)
	}
	all = slices.DeleteFunc(all, func(c container.Summary) bool { return c.HostConfig.NetworkMode != "container:"+owner.ID })
	for _, c := range all[:min(len(all), maxSharers)] {
		response, err := facts.InspectContainer(ctx, f, c.ID)
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return owner, err
		}
		if its := f.isIn(response); its > is {
			best, is = response, its
		}
	}
	return best, nil
}

// How likely it is that this process is in a container. Above unlikely it is the number of
// the container's mounts that are here.
const (
	unlikely = -1
	certain  = 1 << 16
)

// isIn compares the root and the mounts of a container with those of this process.
func (f finder) isIn(response container.InspectResponse) int {
	if base := response.ContainerJSONBase; base != nil && base.GraphDriver.Data["UpperDir"] != "" && f.upper != "" {
		if base.GraphDriver.Data["UpperDir"] == f.upper {
			return certain
		}
		return unlikely
	}
	for _, m := range response.Mounts {
		at := m.Destination
		if without, err := f.resolve(at); err == nil {
			at = without
		}
		if !slices.Contains(f.mounted, at) {
			return unlikely
		}
	}
	return len(response.Mounts)
}
