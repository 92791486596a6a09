package facts

import (
	"context"
	"path"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Self is the container that this process is in. It is nil for a process outside of
// containers, and for one in a container that has an engine of its own, whose host it is.
// The package self finds it.
type Self struct {
	ID       string // of the container; empty if it is not known
	Network  SelfNetwork
	Client   *ClientContainer // nil if the engine at the endpoint does not run the container
	Gateways []Network        // of the default routes, with the names of their interfaces; only if Client is nil
	Endpoint string           // the container on one of its networks to which a tcp endpoint leads; empty if it leads to none
}

// SelfNetwork is the kind of network that a container uses.
type SelfNetwork string

// The kinds of networks.
const (
	OwnNetwork    SelfNetwork = "own"
	HostNetwork   SelfNetwork = "host"   // that of the engine's host
	SharedNetwork SelfNetwork = "shared" // that of another container, such as a Podman pod's
)

// OnHost says whether this process uses the network of a machine: for the engine's
// clients it is no container then.
func (s *Self) OnHost() bool { return s == nil || s.Network == HostNetwork }

// Foreign says whether this process is in a container that the engine does not run. Its
// localhost is not the engine's, and it is on none of the engine's networks.
func (s *Self) Foreign() bool { return !s.OnHost() && s.Client == nil }

// EndpointInContainer says whether the endpoint is that of another container, such as a
// proxy before the engine's socket. The engine publishes no ports there.
func (s *Self) EndpointInContainer() bool { return s != nil && s.Endpoint != "" }

// Report returns the container as the Report has it; nil if there is none.
func (s *Self) Report() *report.Self {
	if s == nil {
		return nil
	}
	r := &report.Self{Container: s.ID, Network: string(s.Network)}
	if s.Client != nil {
		r.Name = ContainerName(s.Client.Inspection)
	}
	return r
}

// OnEngine returns the path that a file in this container has on the engine's host, where
// it is mounted from; empty if that is not known. For a process outside of containers it
// is the same path. Resolve returns a path without symbolic links.
func (s *Self) OnEngine(file string, resolve func(string) (string, error)) string {
	if s == nil {
		return file
	}
	if s.Client == nil {
		return ""
	}
	source, longest := "", -1
	for _, m := range s.Client.Inspection.Mounts {
		for _, pair := range [][2]string{{m.Destination, file}, {resolved(m.Destination, resolve), resolved(file, resolve)}} {
			if rest, ok := below(pair[0], pair[1]); ok && m.Source != "" && len(m.Destination) > longest {
				source, longest = path.Join(m.Source, rest), len(m.Destination)
			}
		}
	}
	return source
}

// below returns the part of a path below a folder, or an empty one for the folder itself.
func below(folder, file string) (rest string, ok bool) {
	folder, file = path.Clean(folder), path.Clean(file)
	if folder == file {
		return "", true
	}
	return strings.CutPrefix(file, strings.TrimSuffix(folder, "/")+"/")
}

func resolved(file string, resolve func(string) (string, error)) string {
	if without, err := resolve(file); err == nil {
		return without
	}
	return file
}

// ClientContainer is a container that probes are sent from.
type ClientContainer struct {
	Container
	Client

	Inspection container.InspectResponse // as the engine gave it
	NetworkOf  string                    // the container whose network it shares; empty if it has its own
	Proxies    Proxies                   // of its programs; nil for none, or if they are not known
}

// Vantage returns what the container says of a vantage with a name.
func (c ClientContainer) Vantage(name string) Vantage {
	return Vantage{
		Name:      name,
		NoNetwork: c.NoNetwork,
		Detached:  c.Detached,
		OnHost:    c.HostNetwork,
		NetworkOf: c.NetworkOf,
		Networks:  c.Networks,
		Proxies:   c.Proxies,
		Hosts:     c.ExtraHosts,
		Resolver:  c.ResolverOptions(),
	}
}

// ReadClientContainer takes what matters of a client from its inspection. It inspects the
// container whose network it shares, if it shares one. Namespace is then that one's ID.
func ReadClientContainer(ctx context.Context, api Inspector, response container.InspectResponse) (ClientContainer, error) {
	with, networkOf, err := WithNetworkOwner(ctx, api, response)
	if err != nil {
		return ClientContainer{}, err
	}
	c := ClientContainer{Container: ReadContainer(with, 0), Client: ReadClient(with), Inspection: response, NetworkOf: networkOf}
	c.Namespace = NamespaceOwner(response)
	return c, nil
}
