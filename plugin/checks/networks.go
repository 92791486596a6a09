package checks

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	dockernetwork "github.com/docker/docker/api/types/network"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// networkChecks look at the engine's networks, and at routes and proxies that may
// keep requests from reaching them.
var networkChecks = category("networks", []check{
	{name: "networks", dependsOn: []string{"API versions"}, run: (*state).checkNetworks},
	{
		name: "routes", dependsOn: []string{"networks", report.CheckOfEngine},
		hint: "give the network a subnet that no route of this machine covers",
		run:  (*state).checkRoutes,
	},
	{name: "own proxies", dependsOn: []string{"networks", report.CheckOfEngine}, run: (*state).checkOwnProxies},
	{name: "container proxies", dependsOn: []string{"networks"}, run: (*state).checkContainerProxies},
})

// network is a network of the engine.
type network struct {
	name     string
	driver   string
	subnets  []netip.Prefix
	gateways []netip.Addr
}

func (s *state) checkNetworks(ctx context.Context) (checkResult, error) {
	list, err := s.connection.API.NetworkList(ctx, dockernetwork.ListOptions{})
	if s.connection.Omitted.Note(ctx, "GET /networks", err) {
		return inconclusive("the engine does not list its networks")
	}
	if err != nil {
		return s.requestFailed(ctx, err)
	}
	words := make([]string, 0, len(list))
	for _, n := range list {
		found := parseNetwork(n)
		s.networks = append(s.networks, found)
		words = append(words, found.String())
	}
	slices.Sort(words)
	return pass("%d: %s", len(list), strings.Join(firstLines(words), ", "))
}

// parseNetwork leaves out subnets and gateways that are invalid.
func parseNetwork(n dockernetwork.Summary) network {
	found := network{name: n.Name, driver: n.Driver, subnets: facts.SubnetsOf(n)}
	for _, config := range n.IPAM.Config {
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

// engineFacts returns what decides whether the engine's networks are on this machine.
func (s *state) engineFacts() facts.Engine {
	return facts.NewEngine(s.settings.EngineHost(), s.settings.IsLoopback(), s.endpoint.Engine)
}
