package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// NetworkName returns the name of a run's temporary network. If the run has several, a
// number is added to the names of the others.
func NetworkName(run string) string { return "nestprobe-" + run }

// NetworkMaker creates the temporary networks of a run.
type NetworkMaker struct {
	Engine   Engine
	Labels   Labels
	Progress Progress
	Settings *facts.NetworkCache // of the engine's networks
	Local    bool                // this process is not in a container, so the engine's networks may be on this machine
	Made     []string            // the names of the networks that were created, or may have been
}

// Create creates one network. The engine chooses its subnet. It avoids the subnets of its
// other networks and most routes of its host (Docker: those on a link,
// libnetwork/netutils, InferReservedNetworks). If its host is this machine, Create
// compares the subnet with all routes, and chooses another one if it overlaps, or if the
// engine has none.
//
// The engine may refuse a subnet that seems to be free: libnetwork reserves the subnet of a
// network before it lists the network, and does not list a network that it is removing
// (Controller.NewNetwork, Controller.Networks). The next choice is then far from it.
func (m *NetworkMaker) Create(ctx context.Context, name string, t TemporaryNetwork) error {
	before := facts.RoutedSubnets()
	made, err := m.createNetwork(ctx, name, t, before)
	if t.Subnet != "" || err != nil && !lacksSubnet(err) || err == nil && !haveOverlap(made, before) {
		return err
	}
	taken := before
	for range subnetTries {
		free, ok := m.freeSubnet(ctx, taken)
		if !ok {
			break // the subnet is the engine's choice, or the error is the engine's
		}
		if err == nil {
			m.Progress.Note(fmt.Sprintf("this machine has a route to the subnet %s that the engine chose for network %s: using %s instead", made[0], name, free))
			if err := RemoveNetwork(ctx, m.Engine.API, name); err != nil {
				return err
			}
		}
		t.Subnet = free.String()
		if _, err = m.createNetwork(ctx, name, t, before); err == nil || !lacksSubnet(err) {
			return err
		}
		taken = append(slices.Clip(taken), netip.PrefixFrom(free.Addr(), heldBits).Masked())
	}
	return withoutSubnet(err)
}

// heldBits is the prefix length, in bits, of the range that may be in use around a subnet that
// was refused: that of the largest subnets that Docker chooses (libnetwork/ipamutils).
const heldBits = 16

// subnetTries bounds the choices for one network. Docker chooses from 17 ranges of heldBits, so
// the last choices are in 10.0.0.0/8.
const subnetTries = 20

// poolExhausted is the error of engines that have no free subnet: Docker's (libnetwork,
// ipamapi.ErrNoAvailablePool, and its text since 24.0) and Podman's (containers/common,
// libnetwork/util).
var poolExhausted = regexp.MustCompile(`non-overlapping IPv4 address pool|predefined address pools|could not find free subnet`)

// subnetTaken is the error of engines for a subnet in use: Docker's (libnetwork,
// ipamapi.ErrPoolOverlap, and networkConfiguration.Conflicts of its bridge driver, which forgets
// a network after its subnet has been released) and Podman's (containers/common,
// libnetwork/internal/util).
var subnetTaken = regexp.MustCompile(`Pool overlaps with other one|networks have overlapping IPv4|already used on the host or by another config`)

// lacksSubnet says whether a network was not created because its subnet is not free, or none is.
func lacksSubnet(err error) bool {
	return err != nil && (poolExhausted.MatchString(err.Error()) || subnetTaken.MatchString(err.Error()))
}

// withoutSubnet returns the error of an engine that refuses every subnet, as a Fault.
func withoutSubnet(err error) error {
	if fault := new(report.Fault); err == nil || errors.As(err, &fault) {
		return err
	}
	return &report.Fault{
		Cause:    diagnosis.AddressPoolsExhausted,
		Evidence: []string{err.Error()},
		Hint:     "remove networks that no container uses",
		Commands: []string{shell.Line("docker network prune")},
		Err:      err,
	}
}

// createFault returns the error of creating a network, as a Fault if the cause is known.
func createFault(err error) error {
	switch message := err.Error(); {
	case poolExhausted.MatchString(message):
		return withoutSubnet(err)
	case firewallBroken.MatchString(message):
		return &report.Fault{Cause: diagnosis.EngineFirewallBroken, Evidence: []string{message}, Hint: firewallHint, Err: err}
	}
	return err
}

// freeSubnet returns a subnet that overlaps none of those used and none of the engine's
// networks, if these are on this machine. It is false if they are not, since nothing is
// known about the routes there.
func (m *NetworkMaker) freeSubnet(ctx context.Context, used []netip.Prefix) (netip.Prefix, bool) {
	described, err := m.Engine.Describe(ctx)
	engine := described.Endpoint.Engine
	if err != nil || !m.Local || m.Engine.Host != "" || m.Engine.Loopback || engine.Desktop || engine.Rootless {
		return netip.Prefix{}, false
	}
	networks, err := m.Engine.API.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return netip.Prefix{}, false
	}
	taken := slices.Clone(used)
	for _, n := range networks {
		taken = append(taken, facts.SubnetsOf(n)...)
	}
	return freeIPv4(taken, rand.IntN)
}

// createNetwork creates a network and returns its subnets.
func (m *NetworkMaker) createNetwork(ctx context.Context, name string, t TemporaryNetwork, routed []netip.Prefix) ([]netip.Prefix, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	options := t.options(routed)
	options.Labels = m.Labels.Values()
	creating, cancel := Extend(ctx, CreateGrace)
	defer cancel()
	_, err := m.Engine.API.NetworkCreate(creating, name, options)
	taken := errdefs.IsConflict(err) // by another network, which stays
	if !taken && !slices.Contains(m.Made, name) {
		m.Made = append(m.Made, name)
	}
	if err != nil {
		return nil, createFault(fmt.Errorf("creating the network: %w", err))
	}
	found, err := m.Settings.Inspect(ctx, name)
	if err != nil {
		return nil, err
	}
	made := facts.SubnetsOf(found)
	if t.NoIPv4 {
		return made, checkNoIPv4(made)
	}
	return made, nil
}

// noIPv4Since is the API version that introduces networks without IPv4 (Docker Engine
// 28.0; API version history, v1.48). Earlier engines ignore the option.
const noIPv4Since = "1.48"

func checkNoIPv4(made []netip.Prefix) error {
	for _, subnet := range made {
		if subnet.Addr().Is4() {
			return &report.Fault{
				Cause:    connection.APIVersionUnsupported,
				Evidence: []string{fmt.Sprintf("a network that should have no IPv4 has the subnet %s", subnet)},
				Hint:     "use an engine whose API version is " + noIPv4Since + " or newer, such as Docker Engine 28",
				Err:      errors.New("the engine gives every network IPv4: networks without IPv4 need API version " + noIPv4Since),
			}
		}
	}
	return nil
}

// JoinNetwork connects a running container to a network. Its default route stays where it
// is, on engines that let the caller decide it (API 1.48): the network may lead nowhere.
func JoinNetwork(ctx context.Context, api API, name, container string) error {
	joining, cancel := Extend(ctx, CreateGrace)
	defer cancel()
	if err := api.NetworkConnect(joining, name, container, &network.EndpointSettings{GwPriority: -1}); err != nil {
		return knownFault(err, fmt.Errorf("connecting it to network %s: %w", name, err))
	}
	return nil
}

func (t *TemporaryNetwork) options(routed []netip.Prefix) network.CreateOptions {
	options := network.CreateOptions{
		Driver:     t.Driver,
		Internal:   t.Internal,
		Attachable: t.Driver == "overlay", // otherwise only services can use it
		Options:    map[string]string{},
	}
	maps.Copy(options.Options, t.Options)
	if t.Parent != "" {
		options.Options["parent"] = t.Parent
	}
	if t.IPv6 || t.NoIPv4 {
		options.EnableIPv6 = new(true)
	}
	if t.NoIPv4 {
		options.EnableIPv4 = new(false)
	}
	if subnets := t.subnets(routed); len(subnets) > 0 {
		options.IPAM = &network.IPAM{Config: subnets}
	}
	return options
}

// subnets returns the subnets to request from the engine. An IPv6 subnet is chosen here:
// engines before 27.0 do not choose one.
func (t *TemporaryNetwork) subnets(taken []netip.Prefix) []network.IPAMConfig {
	var configs []network.IPAMConfig
	if t.Subnet != "" {
		configs = append(configs, network.IPAMConfig{Subnet: t.Subnet, Gateway: t.gateway()})
	}
	given, _ := netip.ParsePrefix(t.Subnet)
	if (t.IPv6 || t.NoIPv4) && !given.Addr().Is6() {
		configs = append(configs, network.IPAMConfig{Subnet: freeIPv6(taken).String()})
	}
	return configs
}

// gateway returns the gateway to request from the engine. On a network of the user's own, the
// first address of a subnet is in most cases that of a router. Docker Engine 29 would give it to a
// container; earlier engines take it for the gateway if none is requested.
func (t *TemporaryNetwork) gateway() string {
	subnet, err := netip.ParsePrefix(t.Subnet)
	if t.Gateway != "" || t.Parent == "" || err != nil {
		return t.Gateway
	}
	return subnet.Masked().Addr().Next().String()
}

// TemporaryNetwork holds the settings of a network that exists as long as its run.
type TemporaryNetwork struct {
	Driver   string // empty for the engine's default driver
	Parent   string // interface on the engine's host, for macvlan and ipvlan
	Subnet   string // CIDR; empty for a free one
	Gateway  string
	Internal bool
	IPv6     bool
	NoIPv4   bool
	Options  map[string]string // of the driver
}
