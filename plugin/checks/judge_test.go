package checks

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	dockernetwork "github.com/docker/docker/api/types/network"
	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestRoutes(t *testing.T) {
	t.Parallel()
	bridge := network{name: "shop", driver: "bridge", subnets: []netip.Prefix{prefix("172.20.0.0/16")}, gateways: []netip.Addr{netip.MustParseAddr("172.20.0.1")}}
	unnamed := network{name: "bridge", driver: "bridge", subnets: []netip.Prefix{prefix("172.20.0.0/16")}}
	own := hostRoute{prefix: prefix("172.20.0.0/16"), device: "br-1"}
	interfaces := map[netip.Addr]string{netip.MustParseAddr("172.20.0.1"): "br-1"}
	for name, test := range map[string]struct {
		networks   []network
		interfaces map[netip.Addr]string
		routes     []hostRoute
		want       report.CheckResult
		evidence   string
	}{
		"its own":                  {[]network{bridge}, interfaces, []hostRoute{own}, "pass", ""},
		"a gateway not named":      {[]network{unnamed}, interfaces, []hostRoute{own, {prefix: prefix("172.16.0.0/12"), device: "vpn0"}}, "warning", "172.16.0.0/12 dev vpn0"},
		"a wider one":              {[]network{bridge}, interfaces, []hostRoute{own, {prefix: prefix("172.16.0.0/12"), device: "vpn0", gateway: "10.0.0.1"}}, "warning", "172.16.0.0/12 via 10.0.0.1 dev vpn0"},
		"a narrower one":           {[]network{bridge}, interfaces, []hostRoute{own, {prefix: prefix("172.20.9.0/24"), device: "vpn0"}}, "warning", "172.20.9.0/24 dev vpn0"},
		"the same":                 {[]network{bridge}, interfaces, []hostRoute{own, {prefix: prefix("172.20.0.0/16"), device: "br-2"}}, "warning", "dev br-2"},
		"a narrower one refuses":   {[]network{bridge}, interfaces, []hostRoute{own, {prefix: prefix("172.20.9.0/24")}}, "warning", "172.20.9.0/24, which is refused"},
		"a wider one refuses":      {[]network{bridge}, interfaces, []hostRoute{own, {prefix: prefix("172.16.0.0/12")}}, "pass", ""},
		"the default route":        {[]network{bridge}, interfaces, []hostRoute{own, {prefix: prefix("0.0.0.0/0"), device: "eth0"}}, "pass", ""},
		"a VPN's default route":    {[]network{bridge}, interfaces, []hostRoute{own, {prefix: prefix("128.0.0.0/1"), device: "vpn0"}}, "pass", ""},
		"a route beside":           {[]network{bridge}, interfaces, []hostRoute{own, {prefix: prefix("172.21.0.0/16"), device: "br-2"}}, "pass", ""},
		"of the other family":      {[]network{bridge}, interfaces, []hostRoute{own, {prefix: prefix("fd00::/8"), device: "vpn0"}}, "pass", ""},
		"bridges in a VM":          {[]network{bridge}, nil, []hostRoute{{prefix: prefix("172.16.0.0/12"), device: "vpn0"}}, "skipped", ""},
		"no networks":              {nil, interfaces, nil, "skipped", ""},
		"a network without subnet": {[]network{{name: "host", driver: "host"}}, interfaces, nil, "skipped", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := judgeRoutes(test.networks, hostNetwork{test.routes, test.interfaces}, "docker")
			assert.NilError(t, err)
			assert.Equal(t, got.result, test.want)
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

func TestProxies(t *testing.T) {
	t.Parallel()
	shop := address{"172.20.0.2", "172.20.0.0/16", "172.20.0.0/16 of network shop"}
	six := address{"fd00::2", "fd00::/64", "fd00::/64 of network six"}
	const proxy = "http://me:hushhush@proxy.example:3128"
	for name, test := range map[string]struct {
		http, https, no string
		addresses       []address
		want            report.CheckResult
		entries         string
	}{
		"caught":               {proxy, "", "", []address{shop}, "warning", "172.20.0.0/16"},
		"for https alone":      {"", proxy, "", []address{shop}, "warning", "172.20.0.0/16"},
		"IPv6":                 {proxy, "", "localhost", []address{shop, six}, "warning", "172.20.0.0/16,fd00::/64"},
		"covered by a range":   {proxy, proxy, "172.16.0.0/12", []address{shop}, "pass", ""},
		"covered by a star":    {proxy, proxy, "*", []address{shop, six}, "pass", ""},
		"covered in part":      {proxy, proxy, "172.16.0.0/12", []address{shop, six}, "warning", "fd00::/64"},
		"another range":        {proxy, "", "10.0.0.0/8", []address{shop}, "warning", "172.20.0.0/16"},
		"nothing to reach":     {proxy, "", "", nil, "pass", ""},
		"not a proxy's URL":    {"http://me:hushhush@%zz", "", "", []address{shop}, "pass", ""},
		"control characters":   {"http://\x1bme:hushhush@x", "", "", []address{shop}, "pass", ""},
		"an engine's own name": {proxy, "", "", []address{{"engine.example", "engine.example", "the engine's host"}}, "warning", "engine.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := proxies{setting{"HTTP_PROXY", test.http}, setting{"HTTPS_PROXY", test.https}, setting{"NO_PROXY", test.no}, "of the environment"}
			var entries string
			got, err := p.judge(test.addresses, func(all []string) []string {
				entries = strings.Join(all, ",")
				return nil
			})
			assert.NilError(t, err)
			assert.Equal(t, got.result, test.want, got.detail)
			assert.Equal(t, entries, test.entries)
			assert.Assert(t, !strings.Contains(fmt.Sprintf("%+v %+v", got, got.fault), "hushhush"))
		})
	}
}

func TestEnvironmentsProxies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env         map[string]string
		http, https string
		no          string
	}{
		"none":          {nil, "HTTP_PROXY=", "HTTPS_PROXY=", "NO_PROXY="},
		"small letters": {map[string]string{"http_proxy": "p", "no_proxy": "n"}, "http_proxy=p", "HTTPS_PROXY=", "no_proxy=n"},
		"capitals win":  {map[string]string{"http_proxy": "p", "HTTP_PROXY": "P"}, "HTTP_PROXY=P", "HTTPS_PROXY=", "NO_PROXY="},
		"one for all":   {map[string]string{"all_proxy": "a", "HTTPS_PROXY": "S"}, "all_proxy=a", "HTTPS_PROXY=S", "NO_PROXY="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &state{Subject: Subject{Environment: func(name string) string { return test.env[name] }}}
			got := s.ownProxies()
			for want, setting := range map[string]setting{test.http: got.http, test.https: got.https, test.no: got.no} {
				assert.Equal(t, setting.name+"="+setting.value, want)
			}
		})
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		from, to time.Duration
		want     report.CheckResult
		title    string
	}{
		"good":    {-time.Hour, 31 * 24 * time.Hour, "pass", ""},
		"days":    {-time.Hour, 29 * 24 * time.Hour, "warning", "A certificate of the engine expires in 29 days"},
		"hours":   {-time.Hour, 90 * time.Minute, "warning", "A certificate of the engine expires in 1 hours"},
		"over":    {-time.Hour, -time.Minute, "warning", "A certificate of the engine expired on 2025-12-31T23:59:00Z"},
		"not yet": {time.Hour, 1000 * time.Hour, "warning", "A certificate of the engine is valid only from 2026-01-01T01:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := connection.Certificate{Whose: "of the engine", Description: "all of it", NotBefore: now.Add(test.from), NotAfter: now.Add(test.to)}
			got, err := dates([]connection.Certificate{c}, now)
			assert.NilError(t, err)
			assert.Equal(t, got.result, test.want)
			assert.Equal(t, got.title, test.title)
		})
	}
}

func TestLeftovers(t *testing.T) {
	t.Parallel()
	var left engine.Leftovers
	got, err := judgeLeftovers(left, "docker -c box")
	assert.NilError(t, err)
	assert.Equal(t, got.result, report.CheckPass)

	left.Containers = []container.Summary{{Names: []string{"/one"}}, {Names: []string{"/$(reboot)"}}, {Names: []string{"/-rf"}}, {}}
	left.Networks = []dockernetwork.Summary{{Name: "two"}, {Name: "a b"}}
	got, err = judgeLeftovers(left, "docker -c box")
	assert.NilError(t, err)
	assert.Equal(t, got.result, report.CheckWarning)
	assert.DeepEqual(t, got.fault.Commands, []string{"docker -c box rm -fv one", "docker -c box network rm two"})

	for i := range 1000 {
		left.Networks = append(left.Networks, dockernetwork.Summary{Name: fmt.Sprint("more", i)})
	}
	got, err = judgeLeftovers(left, "docker -c box")
	assert.NilError(t, err)
	assert.Equal(t, len(got.fault.Evidence), maxLines+1)
}

func TestReadNetwork(t *testing.T) {
	t.Parallel()
	n := read(dockernetwork.Summary{Name: "x", Driver: "bridge", IPAM: dockernetwork.IPAM{Config: []dockernetwork.IPAMConfig{
		{Subnet: "172.20.0.5/16", Gateway: "172.20.0.1"},
		{Subnet: "fd00::/64", Gateway: "fd00::1/64"},
		{Subnet: "\x1b[2J", Gateway: "none"},
		{},
	}}})
	assert.Equal(t, n.String(), "x (bridge 172.20.0.0/16 fd00::/64)")
	assert.Equal(t, len(n.gateways), 2)
}
