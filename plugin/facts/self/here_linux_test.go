package self

import (
	"net/netip"
	"testing"

	"github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"
)

// A default network of any engine has the gateway of this one's.
func TestAreOf(t *testing.T) {
	t.Parallel()
	const id = "0123456789abcdef"
	bridge := func(name, id, gateway string, options map[string]string) network.Summary {
		return network.Summary{Name: name, ID: id, Driver: "bridge", Options: options, IPAM: network.IPAM{Config: []network.IPAMConfig{{Subnet: gateway + "/16", Gateway: gateway}}}}
	}
	byDefault := bridge("bridge", "f0", "172.17.0.1", map[string]string{"com.docker.network.bridge.name": "docker0"})
	docker0 := map[string][]netip.Addr{"docker0": {netip.MustParseAddr("172.17.0.1")}}
	user := map[string][]netip.Addr{"br-0123456789ab": {netip.MustParseAddr("172.18.0.1")}}
	for name, test := range map[string]struct {
		networks []network.Summary
		here     map[string][]netip.Addr
		want     bool
	}{
		"the default network":                 {[]network.Summary{byDefault}, docker0, true},
		"another engine with a user network":  {[]network.Summary{byDefault, bridge("app", id, "172.18.0.1", nil)}, docker0, false},
		"a user network":                      {[]network.Summary{bridge("app", id, "172.18.0.1", nil)}, user, true},
		"the same addresses, another network": {[]network.Summary{bridge("app", "fedcba9876543210", "172.18.0.1", nil)}, user, false},
		"Podman with an unused network":       {[]network.Summary{bridge("podman", "2f", "10.88.0.1", nil), bridge("app", id, "10.89.0.1", nil)}, map[string][]netip.Addr{"podman0": {netip.MustParseAddr("10.88.0.1")}}, true},
		"other addresses":                     {[]network.Summary{byDefault}, map[string][]netip.Addr{"virbr0": {netip.MustParseAddr("192.168.122.1")}}, false},
		"another driver":                      {[]network.Summary{{Name: "macvlan", Driver: "macvlan", IPAM: byDefault.IPAM}}, docker0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, areOf(test.networks, test.here), test.want)
		})
	}
}
