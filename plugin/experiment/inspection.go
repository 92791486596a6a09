package experiment

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
type inspection struct {
	running   bool
	facts     Facts
	networks  []report.Network
	aliases   []string // names besides the container's own
	service   string   // of Compose's that it is a container of; where that is of interest
	published []report.PortBinding
}

// read takes the addresses from an inspect response. It looks at
// NetworkSettings.Networks alone: the top-level addresses are gone from API
// 1.52.
func read(response container.InspectResponse, port uint16) inspection {
	i := inspection{
		facts:     Facts{Port: port},
		networks:  []report.Network{},
		published: []report.PortBinding{},
	}
	if base := response.ContainerJSONBase; base != nil {
		i.running = base.State != nil && base.State.Running
		i.facts.HostNetwork = base.HostConfig != nil && base.HostConfig.NetworkMode.IsHost()
		i.facts.NoNetwork = base.HostConfig != nil && base.HostConfig.NetworkMode.IsNone()
		i.facts.Wanted = base.HostConfig != nil && (base.HostConfig.PublishAllPorts || len(base.HostConfig.PortBindings[tcpPort(port)]) > 0)
	}
	if response.NetworkSettings == nil {
		return i
	}
	for _, name := range slices.Sorted(maps.Keys(response.NetworkSettings.Networks)) {
		if endpoint := response.NetworkSettings.Networks[name]; endpoint != nil {
			i.addNetwork(name, endpoint)
		}
	}
	for _, binding := range response.NetworkSettings.Ports[tcpPort(port)] {
		i.addBinding(binding)
	}
	return i
}

// inspectContainer asks for a container, and takes no answer that is about none.
func inspectContainer(ctx context.Context, api API, name string) (container.InspectResponse, error) {
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
func withNetwork(ctx context.Context, api API, response container.InspectResponse) (with container.InspectResponse, networkOf string, err error) {
	if response.HostConfig == nil || !response.HostConfig.NetworkMode.IsContainer() {
		return response, "", nil
	}
	owner, err := inspectContainer(ctx, api, response.HostConfig.NetworkMode.ConnectedContainer())
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
	return response, nameOf(owner), nil
}

func (i *inspection) addNetwork(name string, endpoint *network.EndpointSettings) {
	i.networks = append(i.networks, report.Network{
		Name:    name,
		IPv4:    endpoint.IPAddress,
		IPv6:    endpoint.GlobalIPv6Address,
		Gateway: endpoint.Gateway,
	})
	i.facts.Networks = append(i.facts.Networks, NetworkFacts{
		Name:        name,
		IPv4:        address(endpoint.IPAddress),
		IPv6:        address(endpoint.GlobalIPv6Address),
		GatewayIPv4: address(endpoint.Gateway),
		GatewayIPv6: address(endpoint.IPv6Gateway),
	})
	i.aliases = append(i.aliases, endpoint.Aliases...)
}

// addBinding leaves out a binding without a port, which says that the engine
// has published nothing yet.
func (i *inspection) addBinding(binding nat.PortBinding) {
	port, err := strconv.ParseUint(binding.HostPort, 10, 16)
	if err != nil || port == 0 {
		return
	}
	i.published = append(i.published, report.PortBinding{HostIP: binding.HostIP, HostPort: uint16(port)})
	hostIP := address(binding.HostIP)
	if !hostIP.IsValid() {
		hostIP = any4 // Podman names no address and publishes on every IPv4 one
	}
	i.facts.Bindings = append(i.facts.Bindings, Binding{HostIP: hostIP, HostPort: uint16(port)})
}

// address parses an address as engines print them; the zero Addr stands for
// none, and for what is not an address.
func address(s string) netip.Addr {
	ip, _ := netip.ParseAddr(s)
	return ip.Unmap()
}

func tcpPort(port uint16) nat.Port {
	return nat.Port(strconv.Itoa(int(port)) + "/tcp")
}

// nameOf is the name of a container, without the slash that the API puts before it.
func nameOf(response container.InspectResponse) string { return strings.TrimPrefix(response.Name, "/") }
