package facts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// inspection is what an engine says of a started container's addresses, for
// the candidates (facts) and for the Report (the engine's own words).
type Container struct {
	Running        bool
	Addresses      Addresses
	ReportNetworks []report.Network
	Aliases        []string // names besides the container's own
	Service        string   // of Compose's that it is a container of; where that is of interest
	Published      []report.PortBinding
}

// read takes the addresses from an inspect response. It looks at
// NetworkSettings.Networks alone: the top-level addresses are gone from API
// 1.52.
func ReadContainer(response container.InspectResponse, port uint16) Container {
	i := Container{
		Addresses:      Addresses{Port: port},
		ReportNetworks: []report.Network{},
		Published:      []report.PortBinding{},
	}
	if base := response.ContainerJSONBase; base != nil {
		i.Running = base.State != nil && base.State.Running
		i.Addresses.HostNetwork = base.HostConfig != nil && base.HostConfig.NetworkMode.IsHost()
		i.Addresses.NoNetwork = base.HostConfig != nil && base.HostConfig.NetworkMode.IsNone()
		i.Addresses.PublishRequested = base.HostConfig != nil && (base.HostConfig.PublishAllPorts || len(base.HostConfig.PortBindings[TCPPort(port)]) > 0)
	}
	if response.NetworkSettings == nil {
		return i
	}
	for _, name := range slices.Sorted(maps.Keys(response.NetworkSettings.Networks)) {
		if endpoint := response.NetworkSettings.Networks[name]; endpoint != nil {
			i.addNetwork(name, endpoint)
		}
	}
	for _, binding := range response.NetworkSettings.Ports[TCPPort(port)] {
		i.addBinding(binding)
	}
	return i
}

// Inspector is the part of an engine's API that facts come from.
type Inspector interface {
	ContainerInspect(ctx context.Context, id string) (container.InspectResponse, error)
	NetworkInspect(ctx context.Context, id string, options network.InspectOptions) (network.Inspect, error)
}

// inspectContainer asks for a container, and takes no answer that is about none.
func InspectContainer(ctx context.Context, api Inspector, name string) (container.InspectResponse, error) {
	response, err := api.ContainerInspect(ctx, name)
	if err == nil && (response.ContainerJSONBase == nil || response.ID == "") {
		err = errors.New("the engine's answer names no container")
	}
	if err != nil {
		return response, fmt.Errorf("inspecting container %s: %w", name, err)
	}
	return response, nil
}

// withNetwork is a container with the addresses, names and published ports of the
// one whose network it shares (docker run --network container:NAME): it has none of
// its own.
func WithNetworkOwner(ctx context.Context, api Inspector, response container.InspectResponse) (with container.InspectResponse, networkOf string, err error) {
	if response.HostConfig == nil || !response.HostConfig.NetworkMode.IsContainer() {
		return response, "", nil
	}
	owner, err := InspectContainer(ctx, api, response.HostConfig.NetworkMode.ConnectedContainer())
	if errdefs.IsNotFound(err) {
		return response, "", nil // and so have its addresses
	}
	if err != nil || owner.HostConfig == nil {
		return response, "", err
	}
	base, host := *response.ContainerJSONBase, *response.HostConfig
	host.NetworkMode, host.PortBindings, host.PublishAllPorts = owner.HostConfig.NetworkMode, owner.HostConfig.PortBindings, owner.HostConfig.PublishAllPorts
	base.HostConfig = &host
	response.ContainerJSONBase, response.NetworkSettings = &base, owner.NetworkSettings
	return response, ContainerName(owner), nil
}

func (i *Container) addNetwork(name string, endpoint *network.EndpointSettings) {
	i.ReportNetworks = append(i.ReportNetworks, report.Network{
		Name:    name,
		IPv4:    endpoint.IPAddress,
		IPv6:    endpoint.GlobalIPv6Address,
		Gateway: endpoint.Gateway,
	})
	i.Addresses.Networks = append(i.Addresses.Networks, Network{
		Name:        name,
		IPv4:        ParseAddr(endpoint.IPAddress),
		IPv6:        ParseAddr(endpoint.GlobalIPv6Address),
		GatewayIPv4: ParseAddr(endpoint.Gateway),
		GatewayIPv6: ParseAddr(endpoint.IPv6Gateway),
	})
	i.Aliases = append(i.Aliases, endpoint.Aliases...)
}

// addBinding leaves out a binding without a port, which says that the engine
// has published nothing yet.
func (i *Container) addBinding(binding nat.PortBinding) {
	port, err := strconv.ParseUint(binding.HostPort, 10, 16)
	if err != nil || port == 0 {
		return
	}
	i.Published = append(i.Published, report.PortBinding{HostIP: binding.HostIP, HostPort: uint16(port)})
	hostIP := ParseAddr(binding.HostIP)
	if !hostIP.IsValid() {
		hostIP = netip.IPv4Unspecified() // Podman names no address and publishes on every IPv4 one
	}
	i.Addresses.Bindings = append(i.Addresses.Bindings, Binding{HostIP: hostIP, HostPort: uint16(port)})
}

// address parses an address as engines print them; the zero Addr stands for
// none, and for what is not an address.
func ParseAddr(s string) netip.Addr {
	ip, _ := netip.ParseAddr(s)
	return ip.Unmap()
}

func TCPPort(port uint16) nat.Port {
	return nat.Port(strconv.Itoa(int(port)) + "/tcp")
}

// nameOf is the name of a container, without the slash that the API puts before it.
func ContainerName(response container.InspectResponse) string {
	return strings.TrimPrefix(response.Name, "/")
}

// serverFacts are what an inspection says of a server.
func NewServer(name string, port uint16, found Container) Server {
	return Server{
		Name:             name,
		Port:             port,
		HostNetwork:      found.Addresses.HostNetwork,
		NoNetwork:        found.Addresses.NoNetwork,
		Networks:         found.Addresses.Networks,
		Bindings:         found.Addresses.Bindings,
		PublishRequested: found.Addresses.PublishRequested,
	}
}

// engineFacts reads what an engine says of itself.
func NewEngine(host string, loopback bool, engine report.Engine) Engine {
	facts := Engine{
		Host:     host,
		Loopback: loopback,
		Podman:   strings.HasPrefix(engine.Product, "Podman"),
		Rootless: engine.Rootless,
		Desktop:  engine.Desktop,
	}
	if !facts.Podman {
		major, _, _ := strings.Cut(engine.Version, ".")
		facts.Major, _ = strconv.Atoi(major)
	}
	return facts
}
