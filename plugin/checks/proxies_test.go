package checks

import (
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/facts/proxy"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

func TestCheckProxies(t *testing.T) {
	t.Parallel()
	shop := destination{"172.20.0.2", "172.20.0.0/16", "172.20.0.0/16 of network shop"}
	six := destination{"fd00::2", "fd00::/64", "fd00::/64 of network six"}
	const proxyURL = "http://me:hushhush@proxy.example:3128"
	for name, test := range map[string]struct {
		http, https, no string
		destinations    []destination
		want            report.CheckResult
		entries         string
	}{
		"no exception":                   {proxyURL, "", "", []destination{shop}, "warning", "172.20.0.0/16"},
		"only for https":                 {"", proxyURL, "", []destination{shop}, "warning", "172.20.0.0/16"},
		"IPv6":                           {proxyURL, "", "localhost", []destination{shop, six}, "warning", "172.20.0.0/16,fd00::/64"},
		"an exception for a range":       {proxyURL, proxyURL, "172.16.0.0/12", []destination{shop}, "pass", ""},
		"an exception for everything":    {proxyURL, proxyURL, "*", []destination{shop, six}, "pass", ""},
		"an exception for one of two":    {proxyURL, proxyURL, "172.16.0.0/12", []destination{shop, six}, "warning", "fd00::/64"},
		"an exception for another range": {proxyURL, "", "10.0.0.0/8", []destination{shop}, "warning", "172.20.0.0/16"},
		"no destination":                 {proxyURL, "", "", nil, "pass", ""},
		"an invalid URL":                 {"http://me:hushhush@%zz", "", "", []destination{shop}, "pass", ""},
		"control characters":             {"http://\x1bme:hushhush@x", "", "", []destination{shop}, "pass", ""},
		"the engine's host":              {proxyURL, "", "", []destination{{"engine.example", "engine.example", "the engine's host"}}, "warning", "engine.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := proxies{proxy.Settings{
				HTTP:  facts.ProxySetting{Name: "HTTP_PROXY", Value: test.http},
				HTTPS: facts.ProxySetting{Name: "HTTPS_PROXY", Value: test.https},
				No:    facts.ProxySetting{Name: "NO_PROXY", Value: test.no},
			}, "of the environment"}
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
			for want, setting := range map[string]facts.ProxySetting{test.http: got.HTTP, test.https: got.HTTPS, test.no: got.No} {
				assert.Equal(t, setting.Name+"="+setting.Value, want)
			}
		})
	}
}
