package checks

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	dockernetwork "github.com/docker/docker/api/types/network"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

const categoryNetworks = "networks"

// networkChecks are about the engine's networks and what may keep their addresses
// from being reached.
func networkChecks() []check {
	return []check{{
		category: categoryNetworks, name: "networks", needs: []string{"API versions"},
		look: (*state).lookAtNetworks,
	}, {
		category: categoryNetworks, name: "routes", needs: []string{"networks", report.CheckOfEngine},
		hint: "make the network anew with a subnet that no route covers: docker network create --subnet",
		look: (*state).lookAtRoutes,
	}, {
		category: categoryNetworks, name: "own proxies", needs: []string{"networks", report.CheckOfEngine},
		look: (*state).lookAtOwnProxies,
	}, {
		category: categoryNetworks, name: "container proxies", needs: []string{"networks"},
		look: (*state).lookAtContainerProxies,
	}}
}

// network is what is looked at of a network of the engine's.
type network struct {
	name     string
	driver   string
	subnets  []netip.Prefix
	gateways []netip.Addr
}

func (s *state) lookAtNetworks(ctx context.Context) (outcome, error) {
	list, err := s.connection.API.NetworkList(ctx, dockernetwork.ListOptions{})
	if err != nil {
		return s.asked(ctx, err)
	}
	words := make([]string, 0, len(list))
	for _, n := range list {
		s.networks = append(s.networks, read(n))
		words = append(words, s.networks[len(s.networks)-1].String())
	}
	slices.Sort(words)
	return pass("%d: %s", len(list), strings.Join(some(words), ", "))
}

// read takes from a network what can be parsed; an engine may say anything.
func read(n dockernetwork.Summary) network {
	found := network{name: n.Name, driver: n.Driver}
	for _, config := range n.IPAM.Config {
		if subnet, err := netip.ParsePrefix(config.Subnet); err == nil {
			found.subnets = append(found.subnets, subnet.Masked())
		}
		// Podman 4.3 gives an address, Docker with IPv6 may give a prefix.
		gateway, _, _ := strings.Cut(config.Gateway, "/")
		if address, err := netip.ParseAddr(gateway); err == nil {
			found.gateways = append(found.gateways, address.Unmap())
		}
	}
	return found
}

func (n network) String() string {
	words := n.driver
	for _, subnet := range n.subnets {
		words += " " + subnet.String()
	}
	return fmt.Sprintf("%s (%s)", n.name, words)
}

// elsewhere says in words where the engine's networks are, if it is known that
// they are not those of this machine.
func (s *state) elsewhere() string {
	switch e := s.engine.Engine; {
	case e.Desktop:
		return "in the VM of Docker Desktop"
	case e.Rootless:
		return "in the network namespace of a rootless engine"
	case s.settings.EngineHost() != "":
		return "on the engine's host " + s.settings.EngineHost()
	default:
		return ""
	}
}
