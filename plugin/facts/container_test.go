package facts

import (
	"encoding/json"
	"testing"

	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

func parse(t *testing.T, text string) container.InspectResponse {
	t.Helper()
	var response container.InspectResponse
	assert.NilError(t, json.Unmarshal([]byte(text), &response))
	return response
}

// A container without networks is on none only if its mode is to join one.
func TestDetached(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{
		"default": "bridge", "bridge": "bridge", "shop": "shop", "podman": "podman",
		"": "", "host": "", "none": "", "container:77": "", "slirp4netns": "", "slirp4netns:mtu=1500": "", "pasta": "", "private": "", "ns:/run/netns/a": "",
	} {
		c := ReadContainer(parse(t, `{"State": {"Running": true}, "HostConfig": {"NetworkMode": "`+mode+`"}, "NetworkSettings": {"Networks": {}}}`), 80)
		assert.Check(t, is.Equal(c.Detached, want), mode)
		assert.Check(t, is.Equal(c.NoNetwork, want != "" || mode == "none"), mode)
	}
	for _, text := range []string{
		`{"State": {"Running": false}, "HostConfig": {"NetworkMode": "shop"}, "NetworkSettings": {"Networks": {}}}`,
		`{"State": {"Running": true, "Restarting": true}, "HostConfig": {"NetworkMode": "shop"}, "NetworkSettings": {"Networks": {}}}`,
		`{"State": {"Running": true}, "HostConfig": {"NetworkMode": "shop"}, "NetworkSettings": {"Networks": {"shop": {}}}}`,
		`{"State": {"Running": true}, "HostConfig": {"NetworkMode": "shop"}}`,
	} {
		assert.Check(t, ReadContainer(parse(t, text), 80).Detached == "", text)
	}
}

// The engine still reports the mode none for a container that has left that network.
func TestLeftNetworkNone(t *testing.T) {
	t.Parallel()
	for networks, want := range map[string]bool{
		`"none": {"IPAddress": ""}`: true, `"shop": {"IPAddress": "172.18.0.2", "IPPrefixLen": 16}`: false,
	} {
		c := ReadContainer(parse(t, `{"State": {"Running": true}, "HostConfig": {"NetworkMode": "none"}, "NetworkSettings": {"Networks": {`+networks+`}}}`), 80)
		assert.Check(t, is.Equal(c.NoNetwork, want), networks)
	}
}

func TestReadClient(t *testing.T) {
	t.Parallel()
	c := ReadClient(parse(t, `{"Config": {"Env": ["A=1", "B=x=y", "A=2", "AB=3", "C"]},
		"HostConfig": {"Dns": ["192.0.2.53"], "DnsSearch": ["example"], "DnsOptions": ["ndots:1"],
			"ExtraHosts": ["db:172.18.0.9", "six=[fd00::9]", "old:fd00::8", "host.docker.internal:host-gateway", "", ":x", "=", "broken"]}}`))
	assert.DeepEqual(t, c.ExtraHosts, []ExtraHost{
		{"db", "172.18.0.9"}, {"six", "fd00::9"}, {"old", "fd00::8"}, {"host.docker.internal", "host-gateway"},
	})
	assert.DeepEqual(t, c.DNS, []string{"192.0.2.53"})
	assert.DeepEqual(t, c.DNSSearch, []string{"example"})
	assert.DeepEqual(t, c.DNSOptions, []string{"ndots:1"})
	assert.Equal(t, c.ResolverOptions(), "--dns 192.0.2.53 --dns-search example --dns-option ndots:1")
	assert.Equal(t, Client{}.ResolverOptions(), "")
	for name, want := range map[string]string{"A": "2", "B": "x=y", "AB": "3", "C": "", "D": ""} {
		assert.Check(t, is.Equal(c.Getenv(name), want), name)
	}
	assert.DeepEqual(t, ReadClient(container.InspectResponse{}), Client{})
}
