package experiment

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// NetworkMode is a kind of network to connect a server to, in order to measure whether
// the server can be reached there.
type NetworkMode struct {
	Name  string
	About string // one line of help

	// OnParent says that the mode's network is on a parent interface. The kernel lets only
	// one driver use it, so these modes are measured one after the other.
	OnParent bool

	connection Connection
}

// mtuOfVPNs is the MTU of WireGuard's links (wireguard-tools, wg-quick: 1420 bytes). Its
// users lower the MTU of their networks to this.
const mtuOfVPNs = "1420"

// NetworkModes lists the modes, the most common first.
func NetworkModes() []NetworkMode {
	bridge := engine.TemporaryNetwork{Driver: "bridge"}
	return []NetworkMode{
		{
			Name: "bridge", About: "the engine's default network",
			connection: Connection{Peer: true}, // on the default network too, where the server has no name
		},
		{
			Name: "user-bridge", About: "a user-defined bridge network",
			connection: onTemporary(bridge),
		},
		{
			Name: "several", About: "two bridge networks", // the engine chooses which of them the published port leads to
			connection: onTemporary(bridge, bridge),
		},
		{
			Name: "internal", About: "a bridge network without a route to the outside", // publishing is ignored on it
			connection: onTemporary(engine.TemporaryNetwork{Driver: "bridge", Internal: true}),
		},
		{
			Name: "host", About: "the network of the engine's host",
			connection: Connection{Networks: []Network{{Name: "host"}}},
		},
		{
			Name: "none", About: "no network but loopback",
			connection: Connection{Networks: []Network{{Name: "none"}}},
		},
		{
			Name: "icc-off", About: "a bridge network without inter-container connectivity", // moby, libnetwork/drivers/bridge, EnableICC
			connection: onTemporary(withOption("bridge", "com.docker.network.bridge.enable_icc", "false")),
		},
		{
			Name: "mtu", About: "a bridge network with an MTU of " + mtuOfVPNs,
			connection: onTemporary(withOption("bridge", "com.docker.network.driver.mtu", mtuOfVPNs)),
		},
		{
			Name: "dual-stack", About: "a bridge network with IPv4 and IPv6",
			connection: onTemporary(engine.TemporaryNetwork{Driver: "bridge", IPv6: true}),
		},
		{
			Name: "ipv6-only", About: "a bridge network with only IPv6",
			connection: onTemporary(engine.TemporaryNetwork{Driver: "bridge", IPv6: true, NoIPv4: true}),
		},
		{
			Name: "macvlan", About: "a MAC address of its own on the network of the parent interface", // without a parent, engines make an interface that is connected to nothing
			OnParent: true, connection: onTemporary(engine.TemporaryNetwork{Driver: "macvlan"}),
		},
		{
			Name: "ipvlan-l2", About: "an IP address of its own on the network of the parent interface",
			OnParent: true, connection: onTemporary(withOption("ipvlan", "ipvlan_mode", "l2")),
		},
		{
			Name: "ipvlan-l3", About: "a subnet that is routed through the parent interface",
			OnParent: true, connection: onTemporary(withOption("ipvlan", "ipvlan_mode", "l3")),
		},
		{
			Name: "overlay", About: "an attachable network of a Swarm",
			connection: onTemporary(engine.TemporaryNetwork{Driver: "overlay"}),
		},
	}
}

// onTemporary connects the server to temporary networks. Probes are also sent from a
// peer on the first of them.
func onTemporary(networks ...engine.TemporaryNetwork) Connection {
	return Connection{Temporary: networks, Peer: true}
}

func withOption(driver, option, value string) engine.TemporaryNetwork {
	return engine.TemporaryNetwork{Driver: driver, Options: map[string]string{option: value}}
}

// everyMode stands for all modes.
const everyMode = "all"

// NetworkModeNames lists the names that ChooseNetworkModes takes: "all", and those of the
// modes.
func NetworkModeNames() []string {
	modes := NetworkModes()
	names := make([]string, 0, 1+len(modes))
	names = append(names, everyMode)
	for _, m := range modes {
		names = append(names, m.Name)
	}
	return names
}

// ChooseNetworkModes returns the modes with these names, in the order of NetworkModes. A
// name that is unknown is an error that lists the known ones.
func ChooseNetworkModes(names []string) ([]NetworkMode, error) {
	known := NetworkModeNames()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown network mode %q: must be one of %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(NetworkModes(), func(m NetworkMode) bool {
		return !slices.Contains(names, m.Name) && !slices.Contains(names, everyMode)
	}), nil
}

// ParentNetwork describes the network of a parent interface.
type ParentNetwork struct {
	Parent  string // the interface of the engine's host
	Subnet  string // CIDR
	Gateway string
}

// Request returns what an experiment measures for the mode.
func (m NetworkMode) Request(on ParentNetwork) ModeRequest {
	request := ModeRequest{Name: m.Name, Connection: m.connection}
	if !m.OnParent {
		return request
	}
	request.Exclusive = "parent"
	t := &request.Connection.Temporary[0]
	t.Parent, t.Subnet, t.Gateway = on.Parent, on.Subnet, on.Gateway
	return request
}
