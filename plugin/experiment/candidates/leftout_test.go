package candidates

import (
	"net/netip"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Every kind is either listed or left out, with a reason that fits.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	server := facts.Addresses{Port: 80, Names: []string{"web"}, Networks: []facts.Network{{Name: "shop", IPv4: netip.MustParseAddr("10.0.0.2"), GatewayIPv4: netip.MustParseAddr("10.0.0.1")}}}
	reasons := func(f facts.Addresses, inContainer bool) map[report.Kind]string {
		listed := ForHost(f)
		if inContainer {
			listed = ForContainer(f)
		}
		found := map[report.Kind]string{}
		for _, left := range LeftOut(f, inContainer, listed) {
			assert.Assert(t, left.Reason != "")
			found[left.Kind] = left.Reason
		}
		return found
	}

	host := reasons(server, false)
	assert.Equal(t, host[report.KindContainerName], "only containers know the names of containers")
	assert.Equal(t, host[report.KindPublishedLocalhost], "the port is not published")
	_, left := host[report.KindContainerIP]
	assert.Assert(t, !left)

	server.Bindings = []facts.Binding{{HostIP: netip.MustParseAddr("192.0.2.7"), HostPort: 8080}}
	inside := reasons(server, true)
	assert.Equal(t, inside[report.KindPublishedLocalhost], "the port is not published on loopback")
	_, left = inside[report.KindPublishedGateway]
	assert.Assert(t, !left)

	server.HostNetwork = true
	assert.Equal(t, reasons(server, false)[report.KindContainerIP], "the server shares the network of the engine's host")
}
