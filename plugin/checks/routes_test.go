package checks

import (
	"net/netip"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func TestCompareRoutes(t *testing.T) {
	t.Parallel()
	bridge := network{name: "shop", driver: "bridge", subnets: []netip.Prefix{netip.MustParsePrefix("172.20.0.0/16")}, gateways: []netip.Addr{netip.MustParseAddr("172.20.0.1")}}
	noGateway := network{name: "bridge", driver: "bridge", subnets: []netip.Prefix{netip.MustParsePrefix("172.20.0.0/16")}}
	bridgeRoute := hostRoute{prefix: netip.MustParsePrefix("172.20.0.0/16"), device: "br-1"}
	interfaces := map[netip.Addr]string{netip.MustParseAddr("172.20.0.1"): "br-1"}
	for name, test := range map[string]struct {
		networks   []network
		interfaces map[netip.Addr]string
		routes     []hostRoute
		want       report.CheckResult
		evidence   string
	}{
		"only the bridge's route":          {[]network{bridge}, interfaces, []hostRoute{bridgeRoute}, "pass", ""},
		"a network without gateway":        {[]network{noGateway}, interfaces, []hostRoute{bridgeRoute, {prefix: netip.MustParsePrefix("172.16.0.0/12"), device: "vpn0"}}, "warning", "172.16.0.0/12 dev vpn0"},
		"a wider route":                    {[]network{bridge}, interfaces, []hostRoute{bridgeRoute, {prefix: netip.MustParsePrefix("172.16.0.0/12"), device: "vpn0", gateway: "10.0.0.1"}}, "warning", "172.16.0.0/12 via 10.0.0.1 dev vpn0"},
		"a narrower route":                 {[]network{bridge}, interfaces, []hostRoute{bridgeRoute, {prefix: netip.MustParsePrefix("172.20.9.0/24"), device: "vpn0"}}, "warning", "172.20.9.0/24 dev vpn0"},
		"a route to the same subnet":       {[]network{bridge}, interfaces, []hostRoute{bridgeRoute, {prefix: netip.MustParsePrefix("172.20.0.0/16"), device: "br-2"}}, "warning", "dev br-2"},
		"a narrower route rejects packets": {[]network{bridge}, interfaces, []hostRoute{bridgeRoute, {prefix: netip.MustParsePrefix("172.20.9.0/24")}}, "warning", "172.20.9.0/24, which rejects packets"},
		"a wider route rejects packets":    {[]network{bridge}, interfaces, []hostRoute{bridgeRoute, {prefix: netip.MustParsePrefix("172.16.0.0/12")}}, "pass", ""},
		"the default route":                {[]network{bridge}, interfaces, []hostRoute{bridgeRoute, {prefix: netip.MustParsePrefix("0.0.0.0/0"), device: "eth0"}}, "pass", ""},
		"a VPN's default route":            {[]network{bridge}, interfaces, []hostRoute{bridgeRoute, {prefix: netip.MustParsePrefix("128.0.0.0/1"), device: "vpn0"}}, "pass", ""},
		"a route to another subnet":        {[]network{bridge}, interfaces, []hostRoute{bridgeRoute, {prefix: netip.MustParsePrefix("172.21.0.0/16"), device: "br-2"}}, "pass", ""},
		"a route of the other family":      {[]network{bridge}, interfaces, []hostRoute{bridgeRoute, {prefix: netip.MustParsePrefix("fd00::/8"), device: "vpn0"}}, "pass", ""},
		"bridges in a VM":                  {[]network{bridge}, nil, []hostRoute{{prefix: netip.MustParsePrefix("172.16.0.0/12"), device: "vpn0"}}, "skipped", ""},
		"no networks":                      {nil, interfaces, nil, "skipped", ""},
		"a network without a subnet":       {[]network{{name: "host", driver: "host"}}, interfaces, nil, "skipped", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := compareRoutes(test.networks, hostNetwork{test.routes, test.interfaces}, "docker")
			assert.NilError(t, err)
			assert.Equal(t, got.status, test.want)
			if got.fault != nil && test.networks[0].name == defaultBridge {
				assert.Equal(t, len(got.fault.Commands), 0)
				assert.Assert(t, strings.Contains(got.fault.Hint, "bip"))
			}
			if test.evidence != "" {
				assert.Assert(t, strings.Contains(got.fault.Evidence[0], test.evidence), got.fault.Evidence[0])
			}
		})
	}
}

func TestFreeSubnet(t *testing.T) {
	t.Parallel()
	route := func(prefix string) hostRoute { return hostRoute{prefix: netip.MustParsePrefix(prefix), device: "vpn0"} }
	taken := network{name: "shop", subnets: []netip.Prefix{netip.MustParsePrefix("10.123.0.0/23")}}
	for want, routes := range map[string][]hostRoute{
		"10.123.2.0/24":  {route("0.0.0.0/0"), route("128.0.0.0/1")},
		"10.123.3.0/24":  {route("10.123.2.0/24")},
		"172.31.0.0/24":  {route("10.0.0.0/8")},
		"192.168.1.0/24": {route("10.0.0.0/8"), route("172.16.0.0/12"), route("192.168.0.0/24")},
		"SUBNET":         {route("10.0.0.0/8"), route("172.16.0.0/12"), route("192.168.0.0/16")},
	} {
		assert.Equal(t, freeSubnet([]network{taken}, routes), want)
	}
}
