package candidates

import (
	"fmt"
	"net/netip"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func TestForHost(t *testing.T) {
	bridge := facts.Network{
		Name:        "bridge",
		IPv4:        netip.MustParseAddr("172.17.0.2"),
		GatewayIPv4: netip.MustParseAddr("172.17.0.1"),
	}
	dual := facts.Network{
		Name:        "dual",
		IPv4:        netip.MustParseAddr("172.18.0.2"),
		IPv6:        netip.MustParseAddr("fd00::2"),
		GatewayIPv4: netip.MustParseAddr("172.18.0.1"),
		GatewayIPv6: netip.MustParseAddr("fd00::1"),
	}
	binding := func(ip string, port uint16) facts.Binding {
		return facts.Binding{HostIP: netip.MustParseAddr(ip), HostPort: port}
	}

	ownAddresses := []netip.Addr{netip.MustParseAddr("10.231.1.2"), netip.MustParseAddr("fd00::7")}

	for _, test := range []struct {
		name  string
		facts facts.Addresses
		want  []string
	}{
		{
			name:  "nothing known",
			facts: facts.Addresses{Port: 80},
		},
		{
			name:  "not published",
			facts: facts.Addresses{Port: 80, Networks: []facts.Network{bridge}},
			want:  []string{"container-ip 172.17.0.2:80"},
		},
		{
			name: "published in both families at one port",
			facts: facts.Addresses{Port: 80, Networks: []facts.Network{bridge}, Bindings: []facts.Binding{
				binding("0.0.0.0", 32768), binding("::", 32768),
			}},
			want: []string{
				"published-localhost 127.0.0.1:32768",
				"published-localhost [::1]:32768",
				"published-host-alias host.docker.internal:32768",
				"published-gateway 172.17.0.1:32768",
				"published-any 0.0.0.0:32768",
				"container-ip 172.17.0.2:80",
			},
		},
		{
			name: "each family with its own port, as Engine 20.10 may choose them",
			facts: facts.Addresses{Port: 80, Networks: []facts.Network{dual}, Bindings: []facts.Binding{
				binding("0.0.0.0", 32768), binding("::", 32771),
			}},
			want: []string{
				"published-localhost 127.0.0.1:32768",
				"published-localhost [::1]:32771",
				"published-host-alias host.docker.internal:32768",
				"published-gateway 172.18.0.1:32768",
				"published-gateway [fd00::1]:32771",
				"published-any 0.0.0.0:32768",
				"container-ip 172.18.0.2:80",
				"container-ip [fd00::2]:80",
			},
		},
		{
			name: "only IPv4: a client may still take localhost for ::1",
			facts: facts.Addresses{Port: 80, Networks: []facts.Network{bridge}, Bindings: []facts.Binding{
				binding("0.0.0.0", 32768),
			}},
			want: []string{
				"published-localhost 127.0.0.1:32768",
				"published-localhost [::1]:32768",
				"published-host-alias host.docker.internal:32768",
				"published-gateway 172.17.0.1:32768",
				"published-any 0.0.0.0:32768",
				"container-ip 172.17.0.2:80",
			},
		},
		{
			name:  "only IPv6",
			facts: facts.Addresses{Port: 80, Bindings: []facts.Binding{binding("::", 32768)}},
			want: []string{
				"published-localhost [::1]:32768",
				"published-localhost 127.0.0.1:32768",
				"published-host-alias host.docker.internal:32768",
			},
		},
		{
			name: "only on loopback: the gateway is tried, to see it refuse",
			facts: facts.Addresses{Port: 80, Networks: []facts.Network{bridge}, Bindings: []facts.Binding{
				binding("127.0.0.1", 8080),
			}},
			want: []string{
				"published-localhost 127.0.0.1:8080",
				"published-localhost [::1]:8080",
				"published-host-alias host.docker.internal:8080",
				"published-gateway 172.17.0.1:8080",
				"published-any 0.0.0.0:8080",
				"container-ip 172.17.0.2:80",
			},
		},
		{
			name:  "only on another loopback address",
			facts: facts.Addresses{Port: 80, Bindings: []facts.Binding{binding("127.0.0.2", 8080)}},
			want: []string{
				"published-localhost 127.0.0.2:8080",
				"published-localhost [::1]:8080",
				"published-host-alias host.docker.internal:8080",
				"published-any 0.0.0.0:8080",
			},
		},
		{
			name: "only on one address of the host",
			facts: facts.Addresses{Port: 80, Networks: []facts.Network{bridge}, Bindings: []facts.Binding{
				binding("10.231.1.2", 8080),
			}},
			want: []string{
				"published-host-alias host.docker.internal:8080",
				"published-engine-host 10.231.1.2:8080",
				"published-gateway 172.17.0.1:8080",
				"container-ip 172.17.0.2:80",
			},
		},
		{
			name:  "published twice",
			facts: facts.Addresses{Port: 80, Bindings: []facts.Binding{binding("0.0.0.0", 8080), binding("0.0.0.0", 8081)}},
			want: []string{
				"published-localhost 127.0.0.1:8080",
				"published-localhost 127.0.0.1:8081",
				"published-localhost [::1]:8080",
				"published-localhost [::1]:8081",
				"published-host-alias host.docker.internal:8080",
				"published-host-alias host.docker.internal:8081",
				"published-any 0.0.0.0:8080",
				"published-any 0.0.0.0:8081",
			},
		},
		{
			name: "an endpoint on another machine, which is in a Swarm",
			facts: facts.Addresses{
				EngineHost: "10.231.1.2", NodeAddress: "10.231.1.3", Port: 80,
				Networks: []facts.Network{bridge},
				Bindings: []facts.Binding{binding("0.0.0.0", 8080), binding("::", 8080)},
			},
			want: []string{
				"published-localhost 127.0.0.1:8080",
				"published-localhost [::1]:8080",
				"published-host-alias host.docker.internal:8080",
				"published-engine-host 10.231.1.2:8080",
				"published-engine-host 10.231.1.3:8080",
				"published-gateway 172.17.0.1:8080",
				"published-any 0.0.0.0:8080",
				"container-ip 172.17.0.2:80",
			},
		},
		{
			name:  "an endpoint given by an IPv6 address",
			facts: facts.Addresses{EngineHost: "fd00::9", Port: 80, Bindings: []facts.Binding{binding("0.0.0.0", 8080)}},
			want: []string{
				"published-localhost 127.0.0.1:8080",
				"published-localhost [::1]:8080",
				"published-host-alias host.docker.internal:8080",
				"published-engine-host [fd00::9]:8080",
				"published-any 0.0.0.0:8080",
			},
		},
		{
			name:  "Docker Desktop has names for its host",
			facts: facts.Addresses{Desktop: true, Port: 80, Bindings: []facts.Binding{binding("0.0.0.0", 8080), binding("::", 8080)}},
			want: []string{
				"published-localhost 127.0.0.1:8080",
				"published-localhost [::1]:8080",
				"published-host-alias host.docker.internal:8080",
				"published-host-alias gateway.docker.internal:8080",
				"published-any 0.0.0.0:8080",
			},
		},
		{
			name: "an engine of this machine, with its addresses on the default routes",
			facts: facts.Addresses{
				Port: 80, Networks: []facts.Network{bridge}, HostAddresses: ownAddresses,
				Bindings: []facts.Binding{binding("0.0.0.0", 32768), binding("::", 32771), binding("10.231.1.9", 8080)},
			},
			want: []string{
				"published-localhost 127.0.0.1:32768",
				"published-localhost [::1]:32771",
				"published-host-alias host.docker.internal:32768",
				"published-host-alias host.docker.internal:8080",
				"published-engine-host 10.231.1.2:32768",
				"published-engine-host [fd00::7]:32771",
				"published-engine-host 10.231.1.9:8080",
				"published-gateway 172.17.0.1:32768",
				"published-gateway 172.17.0.1:8080",
				"published-any 0.0.0.0:32768",
				"container-ip 172.17.0.2:80",
			},
		},
		{
			name: "only on loopback, and the machine's own address is tried, to see it refuse",
			facts: facts.Addresses{
				Port: 80, HostAddresses: ownAddresses, Bindings: []facts.Binding{binding("127.0.0.1", 8080)},
			},
			want: []string{
				"published-localhost 127.0.0.1:8080",
				"published-localhost [::1]:8080",
				"published-host-alias host.docker.internal:8080",
				"published-engine-host 10.231.1.2:8080",
				"published-any 0.0.0.0:8080",
			},
		},
		{
			name:  "the network of an engine's host, which is this machine",
			facts: facts.Addresses{HostNetwork: true, HostAddresses: ownAddresses, Port: 80},
			want: []string{
				"published-localhost 127.0.0.1:80",
				"published-localhost [::1]:80",
				"published-host-alias host.docker.internal:80",
				"published-engine-host 10.231.1.2:80",
				"published-engine-host [fd00::7]:80",
				"published-any 0.0.0.0:80",
			},
		},
		{
			name:  "the network of the engine's host",
			facts: facts.Addresses{HostNetwork: true, EngineHost: "example.test", Port: 80},
			want: []string{
				"published-localhost 127.0.0.1:80",
				"published-localhost [::1]:80",
				"published-host-alias host.docker.internal:80",
				"published-engine-host example.test:80",
				"published-any 0.0.0.0:80",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, c := range ForHost(test.facts) {
				assert.Check(t, c.Reason != "", "%s has no reason", c.Address)
				got = append(got, fmt.Sprintf("%s %s", c.Kind, c.Address))
			}
			assert.DeepEqual(t, got, test.want)
		})
	}
}

// A name that few machines have is looked up for a short time. What answers there is in
// doubt, except on Docker Desktop, which gives this machine the name.
func TestAliasOfThisMachine(t *testing.T) {
	t.Parallel()
	bindings := []facts.Binding{{HostIP: any4, HostPort: 8080}}
	for _, known := range []facts.Addresses{
		{Bindings: bindings},
		{Bindings: bindings, EngineHost: "10.231.1.2"},
		{Bindings: bindings, Desktop: true},
		{HostNetwork: true, Port: 8080},
	} {
		var aliases []Candidate
		for _, c := range ForHost(known) {
			if c.Kind == report.KindPublishedHostAlias {
				aliases = append(aliases, c)
			}
		}
		assert.Assert(t, len(aliases) > 0, "%+v", known)
		for _, c := range aliases {
			assert.Check(t, c.Elsewhere != known.Desktop, "%+v", c)
			assert.Check(t, (c.Lookup > 0) != known.Desktop, "%+v", c)
		}
	}
}

func TestForContainer(t *testing.T) {
	server := facts.Network{
		Name:        "other",
		IPv4:        netip.MustParseAddr("172.18.0.2"),
		GatewayIPv4: netip.MustParseAddr("172.18.0.1"),
	}
	client := facts.Network{
		Name:        "bridge",
		IPv4:        netip.MustParseAddr("172.17.0.5"),
		GatewayIPv4: netip.MustParseAddr("172.17.0.1"),
	}
	facts := facts.Addresses{
		EngineHost: "10.231.1.2", HostAddresses: []netip.Addr{netip.MustParseAddr("10.231.1.3")}, Port: 80, Names: []string{"web", "alias"},
		Networks: []facts.Network{server}, Client: []facts.Network{client},
		Bindings: []facts.Binding{{HostIP: any4, HostPort: 32768}, {HostIP: netip.IPv6Unspecified(), HostPort: 32769}},
	}
	want := []string{
		"container-name web:80",
		"container-name alias:80",
		"container-ip 172.18.0.2:80",
		"published-gateway 172.17.0.1:32768",
		"published-gateway 172.18.0.1:32768",
	}
	for _, alias := range HostAliases {
		want = append(want, "published-host-alias "+alias+":32768")
	}
	want = append(want,
		"published-engine-host 10.231.1.2:32768",
		"published-engine-host 10.231.1.3:32768",
		"published-localhost 127.0.0.1:32768",
		"published-localhost [::1]:32769",
		"published-any 0.0.0.0:32768",
	)
	assert.DeepEqual(t, names(ForContainer(facts)), want)

	facts.HostNetwork, facts.EngineHost = true, ""
	got := names(ForContainer(facts))
	assert.DeepEqual(t, got[:2], []string{"published-gateway 172.17.0.1:80", "published-host-alias host.docker.internal:80"})
}

func names(candidates []Candidate) []string {
	var names []string
	for _, c := range candidates {
		names = append(names, fmt.Sprintf("%s %s", c.Kind, c.Address))
	}
	return names
}

// A container of another engine knows only the endpoint's host to lead to the server's
// engine, and no name of the server.
func TestForForeign(t *testing.T) {
	t.Parallel()
	server := facts.Addresses{
		Port: 80, Names: []string{"web"}, SharesNamespace: true, EngineHost: "docker",
		Networks: []facts.Network{{Name: "bridge", IPv4: netip.MustParseAddr("172.17.0.2"), GatewayIPv4: netip.MustParseAddr("172.17.0.1")}},
		Bindings: []facts.Binding{{HostIP: netip.IPv4Unspecified(), HostPort: 8080}},
	}
	own := []facts.Network{{GatewayIPv4: netip.MustParseAddr("172.30.0.1")}}
	gateway := false
	for _, c := range ForForeign(server, own) {
		assert.Check(t, c.Kind != report.KindContainerName && c.Kind != report.KindOwnLocalhost, "%s", c.Address)
		assert.Check(t, c.Elsewhere == (c.Kind != report.KindPublishedEngineHost), "%s", c.Address)
		gateway = gateway || c.Address == "172.30.0.1:8080"
	}
	assert.Check(t, gateway, "the container's own gateway may be the engine's host")
}

// A container in the server's own network namespace has the server on its localhost.
func TestForContainerInTheServersNamespace(t *testing.T) {
	t.Parallel()
	found := ForContainer(facts.Addresses{Port: 80, SharesNamespace: true})
	assert.Equal(t, len(found), 2)
	for i, address := range []string{"127.0.0.1:80", "[::1]:80"} {
		assert.Equal(t, found[i].Address, address)
		assert.Equal(t, found[i].Kind, report.KindOwnLocalhost)
		assert.Check(t, !found[i].Elsewhere)
	}
}
