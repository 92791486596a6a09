package diagnosis

import (
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// The order has each level in turn, and each cause before those that it explains. It
// has no cycles, or some cause would come after one that it explains.
func TestCauseOrder(t *testing.T) {
	order := causeOrder()
	assert.Assert(t, len(order) > 30, "only %d causes", len(order))
	place := map[report.Cause]int{}
	for i, c := range order {
		place[c.id] = i
		assert.Check(t, i == 0 || order[i-1].level <= c.level, "%s", c.id)
	}
	for i, c := range order {
		for _, other := range c.explains {
			after, ok := place[other]
			assert.Check(t, ok && after > i, "%s explains %s, which comes before it", c.id, other)
		}
	}
}

// The first cause of each pair is what is wrong where a vantage has both.
func TestOrderOfPairs(t *testing.T) {
	order := causeOrder()
	place := func(id report.Cause) int {
		return slices.IndexFunc(order, func(c cause) bool { return c.id == id })
	}
	for _, pair := range [][2]report.Cause{
		{NetworkNone, HostListensOnLoopback},
		{ServerListensElsewhere, ServerNotReady},
		{ServerListensOnLoopback, ForwarderAcceptsAlone},
		{connection.TLSUntrusted, connection.TLSHostnameMismatch},
		{MTUBlackhole, UnexpectedStatus},
		{NetworkInternal, PortNotPublished},
		{MacvlanHostIsolation, ICCDisabled},
		{ICCDisabled, DirectRoutingBlocked},
		{PublishedOnLoopback, NetworksIsolated},
		{SubnetOverlapsRoute, PortNotPublished},
		{FirewallDrops, DirectRoutingBlocked},
		{DirectRoutingBlocked, NetworksIsolated},
		{NetworksIsolated, PublishedFamilyMismatch},
		{PublishedOnRemoteHost, ContainerNetworkRemote},
		{ContainerNetworkRemote, HostAliasUnreachable},
		{DefaultBridgeHasNoDNS, HostAliasUnreachable},
		{HostAliasUnreachable, HostAliasMissing},
		{HostAliasMissing, LocalhostIsThisContainer},
		{LocalhostIsThisContainer, WrongServer},
	} {
		assert.Check(t, place(pair[0]) >= 0 && place(pair[0]) < place(pair[1]), "%s must come before %s", pair[0], pair[1])
	}
}

// A cause that Explain looks for can be found: it has a rule, or its name is that of a
// failure. Only the exit of a container is found before the probes are explained.
func TestCausesCanBeFound(t *testing.T) {
	failures := []netprobe.Failure{
		netprobe.TLSOnPlainPort, netprobe.TLSUntrusted, netprobe.TLSHostnameMismatch, netprobe.TLSExpired,
		netprobe.NotHTTP, netprobe.UnexpectedStatus, netprobe.UnexpectedBody, netprobe.WebSocketRefused, netprobe.WrongServer,
	}
	for _, c := range defined {
		answer := slices.Contains(failures, netprobe.Failure(c.id))
		assert.Check(t, !answer || c.hint != "" && (c.level != addressOnly || c.id == WrongServer), "%s", c.id)
		found := answer || c.rule != nil || c.vantage != nil
		assert.Check(t, found == (c.level != noLevel), "%s", c.id)
	}
}
