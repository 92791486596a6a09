package engine

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// fakePools is an engine on which other networks are being created: their subnets are in use and
// not listed. It is a fake because a real engine is in that state for milliseconds.
type fakePools struct {
	API
	choice string   // the error if the engine chooses the subnet; empty for none
	taken  string   // the error for a subnet in use
	hidden int      // how many of the ranges around the requested subnets are in use
	wanted []string // the requested subnets

	ranges []netip.Prefix // in use
}

func (f *fakePools) NetworkCreate(_ context.Context, _ string, options network.CreateOptions) (network.CreateResponse, error) {
	if options.IPAM == nil {
		f.wanted = append(f.wanted, "")
		if f.choice != "" {
			return network.CreateResponse{}, errors.New(f.choice)
		}
		return network.CreateResponse{}, nil
	}
	subnet := netip.MustParsePrefix(options.IPAM.Config[0].Subnet)
	f.wanted = append(f.wanted, subnet.String())
	if !overlapsAny(subnet, f.ranges) {
		if len(f.ranges) == f.hidden {
			return network.CreateResponse{}, nil
		}
		f.ranges = append(f.ranges, netip.PrefixFrom(subnet.Addr(), 16).Masked())
	}
	return network.CreateResponse{}, errors.New(f.taken)
}

// NetworkList leaves three ranges of 172.16.0.0/12 to choose from, so that one in use is soon met
// twice.
func (f *fakePools) NetworkList(context.Context, network.ListOptions) ([]network.Summary, error) {
	var listed network.Summary
	for _, subnet := range []string{"172.16.0.0/13", "172.24.0.0/14", "172.28.0.0/16"} {
		listed.IPAM.Config = append(listed.IPAM.Config, network.IPAMConfig{Subnet: subnet})
	}
	return []network.Summary{listed}, nil
}

func (f *fakePools) NetworkInspect(context.Context, string, network.InspectOptions) (network.Inspect, error) {
	return network.Inspect{}, nil
}

// A subnet that is refused is followed by one of another range, unless the user has chosen it or
// the engine's networks are elsewhere.
func TestSubnetInUse(t *testing.T) {
	t.Parallel()
	const (
		exhausted  = "Error response from daemon: could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"
		subnetted  = "Error response from daemon: all predefined address pools have been fully subnetted"
		overlaps   = "Error response from daemon: Pool overlaps with other one on this address space"
		invalid    = "Error response from daemon: invalid pool request: Pool overlaps with other one on this address space"
		conflicts  = "Error response from daemon: cannot create network 0a1b (br-0a1b): conflicts with network 2c3d (br-2c3d): networks have overlapping IPv4"
		podmanFull = "Error response from daemon: could not find free subnet from subnet pools"
		podmanUsed = "Error response from daemon: subnet 172.29.3.0/24 is already used on the host or by another config"
		noSpace    = "Error response from daemon: no space left on device"
		hint       = "remove networks that no container uses"
	)
	all := 1 + subnetTries
	for name, test := range map[string]struct {
		engine   fakePools
		user     string // the subnet that the user has chosen
		host     string // of an engine elsewhere
		requests int
		want     string // in the error
	}{
		"Docker has none, and two are in use":    {engine: fakePools{choice: exhausted, taken: overlaps, hidden: 2}, requests: 4},
		"Docker 27 has none, and two are in use": {engine: fakePools{choice: subnetted, taken: invalid, hidden: 2}, requests: 4},
		"Docker chooses one in use":              {engine: fakePools{choice: overlaps}, requests: 2},
		"networks that are being removed":        {engine: fakePools{choice: conflicts, taken: conflicts, hidden: 2}, requests: 4},
		"Podman has none, and two are in use":    {engine: fakePools{choice: podmanFull, taken: podmanUsed, hidden: 2}, requests: 4},
		"all are in use":                         {engine: fakePools{choice: exhausted, taken: overlaps, hidden: all}, requests: all, want: overlaps + ": remove"},
		"the user's is in use":                   {engine: fakePools{taken: overlaps, hidden: 1}, user: "172.29.0.0/24", requests: 1, want: overlaps},
		"another machine's engine has none":      {engine: fakePools{choice: exhausted}, host: "192.0.2.1", requests: 1, want: hint},
		"another error":                          {engine: fakePools{choice: noSpace}, requests: 1, want: noSpace},
		"the next error is another":              {engine: fakePools{choice: exhausted, taken: noSpace, hidden: 1}, requests: 2, want: noSpace},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := &test.engine
			describe := func(context.Context) (connection.Description, error) { return connection.Description{}, nil }
			maker := NetworkMaker{Engine: Engine{API: api, Host: test.host, Describe: describe}, Settings: facts.NewNetworkCache(api, nil), Local: true}
			err := maker.Create(t.Context(), "nestprobe-0a1b", TemporaryNetwork{Driver: "bridge", Subnet: test.user})
			if test.want == "" {
				assert.NilError(t, err)
			} else {
				assert.Check(t, is.ErrorContains(err, test.want))
			}
			assert.Check(t, is.Len(api.wanted, test.requests), "%q", api.wanted)
		})
	}
}

// On a network of the user's own, no container gets the address of its router.
func TestGatewayOnParent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		network TemporaryNetwork
		want    string
	}{
		"on a parent":            {TemporaryNetwork{Parent: "eth1", Subnet: "192.0.2.64/26"}, "192.0.2.65"},
		"with a gateway":         {TemporaryNetwork{Parent: "eth1", Subnet: "192.0.2.64/26", Gateway: "192.0.2.126"}, "192.0.2.126"},
		"the engine's own":       {TemporaryNetwork{Subnet: "192.0.2.64/26"}, ""},
		"of the engine's choice": {TemporaryNetwork{Parent: "eth1"}, ""},
	} {
		var gateway string
		for _, config := range test.network.subnets(nil) {
			gateway = config.Gateway
		}
		assert.Check(t, is.Equal(gateway, test.want), name)
	}
}

// fullNetwork is an engine with a network that has no free address.
type fullNetwork struct{ API }

func (fullNetwork) NetworkConnect(context.Context, string, string, *network.EndpointSettings) error {
	return errors.New("no available IPv4 addresses on this network's address pools: shop (0a1b)")
}

func TestJoinFullNetwork(t *testing.T) {
	t.Parallel()
	fault := new(report.Fault)
	err := JoinNetwork(t.Context(), fullNetwork{}, "shop", "web")
	assert.Assert(t, errors.As(err, &fault), "%v", err)
	assert.Check(t, is.Equal(fault.Cause, diagnosis.AddressPoolsExhausted))
	assert.Check(t, is.ErrorContains(fault.Err, "connecting it to network shop: "))
}
