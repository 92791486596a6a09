package meaning

import (
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

func TestIsAddress(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "::1": true, "0.0.0.0": true, "172.17.0.2": true,
		"host.docker.internal": true, "docker.for.mac.localhost": true,
		"host": false, "web": false, "localhost.web": false, "1.2.3": false, "": false,
	} {
		assert.Check(t, IsAddress(host) == want, host)
	}
}

// published returns the port 80 of a container as an engine lists it.
func published(hostIP string, hostPort uint16) container.Port {
	return container.Port{IP: hostIP, PublicPort: hostPort, PrivatePort: 80, Type: "tcp"}
}

func summary(id, state string, ports ...container.Port) container.Summary {
	return container.Summary{ID: id, Names: []string{"/" + id}, State: state, Ports: ports}
}

// An address is the container that it leads to; if there is none, the host.
func TestResolveAddress(t *testing.T) {
	t.Parallel()
	const stopped = `{"Id": "stopped", "Name": "/stopped", "State": {"Status": "exited"}, "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "17999"}], "81/udp": [{"HostPort": "17998"}]}}}`
	onNetwork := summary("db", "running")
	onNetwork.NetworkSettings = &container.NetworkSettingsSummary{Networks: map[string]*network.EndpointSettings{"a": {IPAddress: "172.18.0.5", GlobalIPv6Address: "fd00::5"}}}
	e := &engineOf{
		containers: map[string][]string{"stopped": {stopped}},
		summaries: []container.Summary{
			summary("web", "running", published("0.0.0.0", 8080), published("::", 8080), container.Port{PrivatePort: 99, Type: "tcp"}),
			summary("podman", "running", published("", 8081)),
			summary("local", "running", published("127.0.0.1", 8082)),
			summary("other", "running", published("127.0.0.2", 8082)),
			summary("six", "running", published("::1", 8083)),
			summary("dns", "running", container.Port{IP: "0.0.0.0", PublicPort: 8084, PrivatePort: 53, Type: "udp"}),
			summary("far", "running", published("192.0.2.7", 8085)),
			summary("stopped", "exited"),
			summary("vanished", "exited"),
			onNetwork,
		},
	}
	for text, test := range map[string]struct {
		address string
		port    uint16
		want    string // the container, or what the error contains
		inside  uint16 // the port of the target afterwards; 0 for an error
		meaning string
	}{
		"localhost":                        {"localhost", 8080, "web", 80, "localhost:8080 is port 80 of container web, which publishes it"},
		"IPv6":                             {"::1", 8080, "web", 80, "[::1]:8080 is port 80"},
		"unspecified":                      {"0.0.0.0", 8080, "web", 80, ""},
		"an alias of the host":             {"host.docker.internal", 8080, "web", 80, ""},
		"another address of the host":      {"192.0.2.7", 8080, "web", 80, ""},
		"no address in the list":           {"127.0.0.1", 8081, "podman", 80, ""},
		"one of two by its address":        {"127.0.0.2", 8082, "other", 80, ""},
		"one of two by localhost":          {"localhost", 8082, "local", 80, ""},
		"one of two by 0.0.0.0":            {"0.0.0.0", 8082, "local", 80, ""},
		"two":                              {"host.docker.internal", 8082, "several containers publish port 8082: local:80 (127.0.0.1:8082), other:80 (127.0.0.2:8082): choose one", 0, ""},
		"two, at another address":          {"127.0.0.3", 8082, "several containers", 0, ""},
		"localhost in the other family":    {"localhost", 8083, "six", 80, ""},
		"published at another address":     {"localhost", 8085, "far", 80, ""},
		"only with UDP":                    {"localhost", 8084, "dns", 53, "container dns publishes its port 53 at 0.0.0.0:8084, for UDP only"},
		"nobody publishes it":              {"127.0.0.1", 17997, "", 17997, "no container publishes port 17997, so 127.0.0.1:17997 is a server on the engine's host"},
		"a container that does not run":    {"localhost", 17999, "stopped", 80, "localhost:17999 would be port 80 of container stopped, which is exited"},
		"one that would publish UDP":       {"localhost", 17998, "", 17998, ""},
		"a container's address":            {"172.18.0.5", 5432, "db", 5432, "172.18.0.5 is an address of container db"},
		"a container's IPv6 address":       {"fd00::5", 5432, "db", 5432, "fd00::5 is an address of container db"},
		"an address of nobody":             {"198.51.100.9", 17997, "no container has the address 198.51.100.9", 0, ""},
		"a published port at that address": {"198.51.100.9", 8080, "web", 80, ""},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			r := NewResolver(engine.Engine{API: e}, e, Query{Address: test.address, Port: test.port, Timeout: time.Second})
			err := r.ResolveAddress(t.Context())
			if test.inside == 0 {
				assert.ErrorContains(t, err, test.want)
				return
			}
			assert.NilError(t, err)
			assert.Check(t, is.Equal(r.Container, test.want))
			assert.Check(t, is.Equal(r.Port, test.inside))
			assert.Check(t, is.Contains(r.Text, test.meaning))
		})
	}
}

// The port of a container may be given as the one that it publishes on the host.
func TestContainerPort(t *testing.T) {
	t.Parallel()
	const mapped = `{"State": {}, "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8080"}], "53/udp": [{"HostPort": "53"}]}},
		"Config": {"ExposedPorts": {"80/tcp": {}, "9090/tcp": {}}},
		"NetworkSettings": {"Ports": {"9090/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}], "81/udp": [{"HostPort": "32769"}]}}}`
	for _, test := range []struct {
		inspection string
		named      uint16
		want       uint16
	}{
		{mapped, 80, 80},
		{mapped, 8080, 80},
		{mapped, 9090, 9090},
		{mapped, 32768, 9090}, // chosen by the engine
		{mapped, 53, 53},      // UDP
		{mapped, 32769, 32769},
		{mapped, 7777, 7777},
		{`{"State": {}, "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8080"}], "8080/tcp": [{"HostPort": "80"}]}}}`, 8080, 8080},
		{`{"State": {}, "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}, "Config": {"ExposedPorts": {"8080/tcp": {}}}}`, 8080, 8080},
		{`{}`, 80, 80},
	} {
		response, err := inspectionOf(test.inspection)
		assert.NilError(t, err)
		if response.ContainerJSONBase == nil {
			response.ContainerJSONBase = &container.ContainerJSONBase{}
		}
		assert.Check(t, is.Equal(ContainerPort(response, test.named), test.want), "%d of %s", test.named, test.inspection)
	}
}
