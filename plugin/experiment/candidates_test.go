package experiment

import (
	"net/netip"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/experiment/probing"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Every kind has a place in the ranking.
func TestEveryKindIsRanked(t *testing.T) {
	network := facts.Network{
		Name:        "bridge",
		IPv4:        netip.MustParseAddr("172.17.0.2"),
		GatewayIPv4: netip.MustParseAddr("172.17.0.1"),
	}
	facts := facts.Addresses{
		EngineHost: "example.test", Desktop: true, SharesNamespace: true, Port: 80, Names: []string{"web"},
		Networks: []facts.Network{network}, Client: []facts.Network{network},
		Bindings: []facts.Binding{{HostIP: netip.IPv4Unspecified(), HostPort: 8080}},
	}
	for _, v := range []probing.Vantage{{}, {Container: "client"}} {
		seen := map[report.Kind]bool{}
		for _, c := range v.Candidates(facts) {
			seen[c.Kind] = true
		}
		for _, kind := range v.KindRanking("") {
			assert.Check(t, seen[kind], "no candidate of kind %s", kind)
			delete(seen, kind)
		}
		assert.Check(t, len(seen) == 0, "kinds without a rank: %v", seen)
	}
}

// A container that the engine does not run knows only the endpoint's host. Whatever else
// answers needs proof, and so does what answers on the localhost of any container.
func TestCandidatesElsewhere(t *testing.T) {
	known := facts.Addresses{
		Port: 80, EngineHost: "docker", Names: []string{"web"},
		Networks: []facts.Network{{Name: "bridge", IPv4: netip.MustParseAddr("172.17.0.2"), GatewayIPv4: netip.MustParseAddr("172.17.0.1")}},
		Bindings: []facts.Binding{{HostIP: netip.IPv4Unspecified(), HostPort: 32768}},
	}
	gateways := []facts.Network{{Name: "eth0", GatewayIPv4: netip.MustParseAddr("192.168.0.1")}}
	elsewhere := func(v probing.Vantage) (certain, doubtful []string) {
		for _, c := range v.Candidates(known) {
			switch {
			case c.Kind == report.KindPublishedHostAlias:
			case c.Elsewhere:
				doubtful = append(doubtful, c.Address)
			default:
				certain = append(certain, c.Address)
			}
		}
		return certain, doubtful
	}

	certain, doubtful := elsewhere(probing.Vantage{Name: "container", Foreign: true, Gateways: gateways})
	assert.DeepEqual(t, certain, []string{"docker:32768"})
	assert.DeepEqual(t, doubtful, []string{"172.17.0.2:80", "192.168.0.1:32768", "172.17.0.1:32768", "127.0.0.1:32768", "[::1]:32768", "0.0.0.0:32768"})

	certain, doubtful = elsewhere(probing.Vantage{Name: "container:job", Container: "1a"})
	assert.DeepEqual(t, certain, []string{"web:80", "172.17.0.2:80", "172.17.0.1:32768", "docker:32768"})
	assert.DeepEqual(t, doubtful, []string{"127.0.0.1:32768", "[::1]:32768", "0.0.0.0:32768"})

	known.ClientOnHost = true
	_, doubtful = elsewhere(probing.Vantage{Name: "container:job", Container: "1a"})
	assert.DeepEqual(t, doubtful, []string{"[::1]:32768"}) // which is not published
}
