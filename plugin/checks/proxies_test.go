package checks

import (
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func TestCheckProxies(t *testing.T) {
	t.Parallel()
	shop := destination{"172.20.0.2", "172.20.0.0/16", "172.20.0.0/16 of network shop"}
	six := destination{"fd00::2", "fd00::/64", "fd00::/64 of network six"}
	const proxy = "http://me:hushhush@proxy.example:3128"
	for name, test := range map[string]struct {
		http, https, no string
		destinations    []destination
		want            report.CheckResult
		entries         string
	}{
		"no exception":                   {proxy, "", "", []destination{shop}, "warning", "172.20.0.0/16"},
		"only for https":                 {"", proxy, "", []destination{shop}, "warning", "172.20.0.0/16"},
		"IPv6":                           {proxy, "", "localhost", []destination{shop, six}, "warning", "172.20.0.0/16,fd00::/64"},
		"an exception for a range":       {proxy, proxy, "172.16.0.0/12", []destination{shop}, "pass", ""},
		"an exception for everything":    {proxy, proxy, "*", []destination{shop, six}, "pass", ""},
		"an exception for one of two":    {proxy, proxy, "172.16.0.0/12", []destination{shop, six}, "warning", "fd00::/64"},
		"an exception for another range": {proxy, "", "10.0.0.0/8", []destination{shop}, "warning", "172.20.0.0/16"},
		"no destination":                 {proxy, "", "", nil, "pass", ""},
		"an invalid URL":                 {"http://me:hushhush@%zz", "", "", []destination{shop}, "pass", ""},
		"control characters":             {"http://\x1bme:hushhush@x", "", "", []destination{shop}, "pass", ""},
		"the engine's host":              {proxy, "", "", []destination{{"engine.example", "engine.example", "the engine's host"}}, "warning", "engine.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := proxies{setting{"HTTP_PROXY", test.http}, setting{"HTTPS_PROXY", test.https}, setting{"NO_PROXY", test.no}, "of the environment"}
			var entries string
			got, err := p.check(test.destinations, func(all []string) []string {
				entries = strings.Join(all, ",")
				return nil
			})
			assert.NilError(t, err)
			assert.Equal(t, got.status, test.want, got.detail)
			assert.Equal(t, entries, test.entries)
			assert.Assert(t, !strings.Contains(fmt.Sprintf("%+v %+v", got, got.fault), "hushhush"))
		})
	}
}

func TestOwnProxies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env         map[string]string
		http, https string
		no          string
	}{
		"none":       {nil, "HTTP_PROXY=", "HTTPS_PROXY=", "NO_PROXY="},
		"lower case": {map[string]string{"http_proxy": "p", "no_proxy": "n"}, "http_proxy=p", "HTTPS_PROXY=", "no_proxy=n"},
		"both cases": {map[string]string{"http_proxy": "p", "HTTP_PROXY": "P"}, "HTTP_PROXY=P", "HTTPS_PROXY=", "NO_PROXY="},
		"ALL_PROXY":  {map[string]string{"all_proxy": "a", "HTTPS_PROXY": "S"}, "all_proxy=a", "HTTPS_PROXY=S", "NO_PROXY="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &state{Input: Input{Environment: func(name string) string { return test.env[name] }}}
			got := s.ownProxies()
			for want, setting := range map[string]setting{test.http: got.http, test.https: got.https, test.no: got.no} {
				assert.Equal(t, setting.name+"="+setting.value, want)
			}
		})
	}
}
