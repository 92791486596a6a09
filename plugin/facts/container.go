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

// Addresses is what the candidates, the addresses to try, follow from.
type Addresses struct {
	EngineHost       string       // host of a tcp or ssh endpoint; empty for a local engine
	NodeAddress      string       // the engine's own address among the nodes of its Swarm; empty without a Swarm
	HostAddresses    []netip.Addr // of a local engine's host on its default routes; none if they are not known
	Desktop          bool         // the engine runs in the VM of Docker Desktop
	NoNetwork        bool         // the server has only loopback
	HostNetwork      bool         // the server shares the network of the engine's host
	PublishRequested bool         // the server was started with Port to be published
	PublishedUDP     bool         // Port is published for UDP
	PublishedToo     []uint16     // other TCP ports that are published
	Port             uint16       // in the container
	Names            []string     // the server's name and aliases
	Networks         []Network
	Bindings         []Binding
	SharesNamespace  bool      // the container that the probes come from shares the server's network namespace
	Client           []Network // the networks of the container that the probes come from
	ClientOnHost     bool      // that container shares the network of the engine's host
}

// Container is what an engine says of a container's addresses: parsed in Addresses, and
// as the engine wrote it in ReportNetworks and Published, for the Report.
type Container struct {
	Addresses
	Running        bool             // and not about to be restarted
	Namespace      string           // NamespaceOwner
	Detached       string           // the network that it was started on, if it is on none now; NoNetwork is set too
	ReportNetworks []report.Network // those of Networks, in the same order
	Aliases        []string         // names besides the container's own
	Service        string           // the Compose service that it is a container of, if the caller has set it
	Published      []report.PortBinding
}

// ReadContainer takes the addresses from an inspect response. It reads only
// NetworkSettings.Networks: API 1.52 has no top-level addresses.
func ReadContainer(response container.InspectResponse, port uint16) Container {
	c := Container{
		Addresses:      Addresses{Port: port},
		ReportNetworks: []report.Network{},
		Published:      []report.PortBinding{},
	}
	c.Namespace = NamespaceOwner(response)
	if base := response.ContainerJSONBase; base != nil {
		c.Running = base.State != nil && base.State.Running && !base.State.Restarting
		c.HostNetwork = base.HostConfig != nil && base.HostConfig.NetworkMode.IsHost()
		c.NoNetwork = base.HostConfig != nil && base.HostConfig.NetworkMode.IsNone()
		c.PublishRequested = base.HostConfig != nil && (base.HostConfig.PublishAllPorts || len(base.HostConfig.PortBindings[TCPPort(port)]) > 0)
	}
	if response.NetworkSettings == nil {
		return c
	}
	for published, bindings := range response.NetworkSettings.Ports {
		if number := uint16(published.Int()); published.Proto() == "tcp" && number != port && len(bindings) > 0 { //nolint:gosec // nat checks its range
			c.PublishedToo = append(c.PublishedToo, number)
		}
	}
	slices.Sort(c.PublishedToo)
	c.PublishedUDP = len(response.NetworkSettings.Ports[nat.Port(fmt.Sprintf("%d/udp", port))]) > 0
	for _, name := range slices.Sorted(maps.Keys(response.NetworkSettings.Networks)) {
		if endpoint := response.NetworkSettings.Networks[name]; endpoint != nil {
			c.addNetwork(name, endpoint)
		}
	}
	c.NoNetwork = c.NoNetwork && !slices.ContainsFunc(c.Networks, hasAddress) // it may have left the network none
	if c.Running {
		c.Detached = LostNetwork(response)
		c.NoNetwork = c.NoNetwork || c.Detached != ""
	}
	for _, binding := range response.NetworkSettings.Ports[TCPPort(port)] {
		c.addBinding(binding)
	}
	return c
}

func hasAddress(n Network) bool { return n.IPv4.IsValid() || n.IPv6.IsValid() }

// LostNetwork is the network that a container was created on, if it is on none now; empty
// if it is on one, or was created on none.
func LostNetwork(response container.InspectResponse) string {
	if response.ContainerJSONBase == nil || response.HostConfig == nil || response.NetworkSettings == nil || len(response.NetworkSettings.Networks) > 0 {
		return ""
	}
	return joinedNetwork(response.HostConfig.NetworkMode)
}

// joinedNetwork is the network that containers of a mode join at their start; empty for
// the modes that join none. The network of a rootless Podman's container is no network of
// the engine's (slirp4netns, pasta).
func joinedNetwork(mode container.NetworkMode) string {
	name, _, _ := strings.Cut(string(mode), ":")
	switch {
	case mode.IsDefault():
		return "bridge"
	case slices.Contains([]string{"", "host", "none", "container", "private", "ns", "slirp4netns", "pasta"}, name):
		return ""
	default:
		return name
	}
}

// Inspector is the part of an engine's API that this package reads from.
type Inspector interface {
	ContainerInspect(ctx context.Context, id string) (container.InspectResponse, error)
	NetworkInspect(ctx context.Context, id string, options network.InspectOptions) (network.Inspect, error)
}

// InspectContainer inspects a container. An answer that names no container is an
// error.
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

// NamespaceOwner returns the ID of the container whose network namespace a container is
// in: its own, unless it shares that of another one.
func NamespaceOwner(response container.InspectResponse) string {
	base := response.ContainerJSONBase
	switch {
	case base == nil:
		return ""
	case base.HostConfig != nil && base.HostConfig.NetworkMode.IsContainer():
		return base.HostConfig.NetworkMode.ConnectedContainer()
	default:
		return base.ID
	}
}

// WithNetworkOwner returns the inspection of a container that shares the network of
// another one (docker run --network container:NAME) with the addresses, names and
// published ports of that one, since it has none of its own; and the name of that one
// as networkOf. Any other inspection is returned as it is, with an empty name.
func WithNetworkOwner(ctx context.Context, api Inspector, response container.InspectResponse) (with container.InspectResponse, networkOf string, err error) {
	if response.HostConfig == nil || !response.HostConfig.NetworkMode.IsContainer() {
		return response, "", nil
	}
	owner, err := InspectContainer(ctx, api, response.HostConfig.NetworkMode.ConnectedContainer())
	if errdefs.IsNotFound(err) {
		return response, "", nil // its addresses are gone too
	}
	if err != nil || owner.HostConfig == nil {
		return response, "", err
	}
	base, host := *response.ContainerJSONBase, *response.HostConfig
	host.NetworkMode, host.PortBindings, host.PublishAllPorts = owner.HostConfig.NetworkMode, owner.HostConfig.PortBindings, owner.HostConfig.PublishAllPorts
	host.ExtraHosts, host.DNS, host.DNSSearch, host.DNSOptions = owner.HostConfig.ExtraHosts, owner.HostConfig.DNS, owner.HostConfig.DNSSearch, owner.HostConfig.DNSOptions // both have its hosts file and its resolver
	base.HostConfig = &host
	response.ContainerJSONBase, response.NetworkSettings = &base, owner.NetworkSettings
	return response, ContainerName(owner), nil
}

func (c *Container) addNetwork(name string, endpoint *network.EndpointSettings) {
	c.ReportNetworks = append(c.ReportNetworks, report.Network{
		Name:    name,
		IPv4:    endpoint.IPAddress,
		IPv6:    endpoint.GlobalIPv6Address,
		Gateway: endpoint.Gateway,
	})
	c.Networks = append(c.Networks, Network{
		Name:        name,
		IPv4:        ParseAddr(endpoint.IPAddress),
		IPv6:        ParseAddr(endpoint.GlobalIPv6Address),
		GatewayIPv4: ParseAddr(endpoint.Gateway),
		GatewayIPv6: ParseAddr(endpoint.IPv6Gateway),
	})
	c.Aliases = append(c.Aliases, endpoint.Aliases...)
}

// addBinding leaves out a binding without a port: the engine has published nothing
// yet.
func (c *Container) addBinding(binding nat.PortBinding) {
	port, err := strconv.ParseUint(binding.HostPort, 10, 16)
	if err != nil || port == 0 {
		return
	}
	c.Published = append(c.Published, report.PortBinding{HostIP: binding.HostIP, HostPort: uint16(port)})
	hostIP := ParseAddr(binding.HostIP)
	if !hostIP.IsValid() {
		hostIP = netip.IPv4Unspecified() // Podman names no address and publishes on every IPv4 one
	}
	c.Bindings = append(c.Bindings, Binding{HostIP: hostIP, HostPort: uint16(port)})
}

// ParseAddr parses an address as engines print them. The zero Addr stands for none, and
// for what is not an address.
func ParseAddr(s string) netip.Addr {
	ip, _ := netip.ParseAddr(s)
	return ip.Unmap()
}

// TCPPort returns a TCP port in the form of the Docker API, such as 80/tcp.
func TCPPort(port uint16) nat.Port {
	return nat.Port(strconv.Itoa(int(port)) + "/tcp")
}

// ContainerName returns the name of a container, without the slash that the API puts
// before it.
func ContainerName(response container.InspectResponse) string {
	return strings.TrimPrefix(response.Name, "/")
}
