package checks

import (
	"testing"

	dockernetwork "github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"
)

func TestParseNetwork(t *testing.T) {
	t.Parallel()
	n := parseNetwork(dockernetwork.Summary{Name: "x", Driver: "bridge", IPAM: dockernetwork.IPAM{Config: []dockernetwork.IPAMConfig{
		{Subnet: "172.20.0.5/16", Gateway: "172.20.0.1"},
		{Subnet: "fd00::/64", Gateway: "fd00::1/64"},
		{Subnet: "\x1b[2J", Gateway: "none"},
		{},
	}}})
	assert.Equal(t, n.String(), "x (bridge 172.20.0.0/16 fd00::/64)")
	assert.Equal(t, len(n.gateways), 2)
}
