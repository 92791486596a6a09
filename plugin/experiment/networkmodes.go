package experiment

import (
	"fmt"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"slices"
	"strings"
)

// NetworkMode is one way to connect a server that --networks measures.
type NetworkMode struct {
	Name  string
	About string // what it is, in a few words

	// OnParent says that its network takes the parent interface for itself: the kernel
	// lets one driver have it, so these modes are measured one after the other.
	OnParent bool

	connection Connection
}

// mtuOfVPNs is the MTU of WireGuard's links, for which people lower that of their
// networks (wireguard-tools, wg-quick: 1420 bytes).
const mtuOfVPNs = "1420"

// NetworkModes lists the modes, those that people meet first in front.
func NetworkModes() []NetworkMode {
	bridge := engine.TemporaryNetwork{Driver: "bridge"}
	return []NetworkMode{
		{
			Name: "bridge", About: "the engine's default network",
			connection: Connection{Peer: true}, // which has no name for the server there
		},
		{
			Name: "user-bridge", About: "a user-defined bridge network",
			connection: onTemporary(bridge),
		},
		{
			Name: "several", About: "two bridge networks at once", // the published port leads to one of them, which is the engine's choice
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
			Name: "icc-off", About: "a bridge network with --icc=false", // moby, libnetwork/drivers/bridge, EnableICC
			connection: onTemporary(bridgeWith("com.docker.network.bridge.enable_icc", "false")),
		},
		{
			Name: "mtu", About: "a bridge network with an MTU of " + mtuOfVPNs,
			connection: onTemporary(bridgeWith("com.docker.network.driver.mtu", mtuOfVPNs)),
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
			Name: "macvlan", About: "a MAC address of its own on the network of --parent", // without a parent, engines make one that leads nowhere
			OnParent: true, connection: onTemporary(engine.TemporaryNetwork{Driver: "macvlan"}),
		},
		{
			Name: "ipvlan-l2", About: "an address of its own on the network of --parent",
			OnParent: true, connection: onTemporary(ipvlan("l2")),
		},
		{
			Name: "ipvlan-l3", About: "routed from the network of --parent",
			OnParent: true, connection: onTemporary(ipvlan("l3")),
		},
		{
			Name: "overlay", About: "an attachable network of a Swarm",
			connection: onTemporary(engine.TemporaryNetwork{Driver: "overlay"}),
		},
	}
}

// onTemporary connects the server to networks that are made for it. Probes are also
// sent from a peer on the first of them.
func onTemporary(networks ...engine.TemporaryNetwork) Connection {
	return Connection{Temporary: networks, Peer: true}
}

func bridgeWith(option, value string) engine.TemporaryNetwork {
	return engine.TemporaryNetwork{Driver: "bridge", Options: map[string]string{option: value}}
}

func ipvlan(mode string) engine.TemporaryNetwork {
	return engine.TemporaryNetwork{Driver: "ipvlan", Options: map[string]string{"ipvlan_mode": mode}}
}

// everyMode is the name of the list of all modes.
const everyMode = "all"

// NetworkModeNames lists the names that --networks takes.
func NetworkModeNames() []string {
	names := []string{everyMode}
	for _, m := range NetworkModes() {
		names = append(names, m.Name)
	}
	return names
}

// ChooseNetworkModes returns the modes that a list names, in the order of
// NetworkModes.
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

// ParentNetwork says where networks on an interface of the engine's host are.
type ParentNetwork struct {
	Parent  string // the interface
	Subnet  string // CIDR
	Gateway string
}

// Spec is what an experiment is to measure for the mode.
func (m NetworkMode) Spec(on ParentNetwork) ModeSpec {
	spec := ModeSpec{Name: m.Name, Connection: m.connection}
	if !m.OnParent {
		return spec
	}
	spec.Exclusive = "parent"
	t := &spec.Connection.Temporary[0]
	t.Parent, t.Subnet, t.Gateway = on.Parent, on.Subnet, on.Gateway
	return spec
}
